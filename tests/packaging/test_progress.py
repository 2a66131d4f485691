"""Progress lines and logs."""

from __future__ import annotations

import sys

from native_build.progress import PIP_BYTES, StepCounter, run_logged, telling_lines


def test_of_many_steps_a_few_are_told_and_always_the_last(capsys):
    """One line every five seconds of the clock."""
    times = iter([0.0, 1.0, 2.0, 6.0, 7.0])
    counter = StepCounter("building", clock=lambda: next(times))
    for step in range(1, 5):
        counter(f"[{step}/4] Building CXX object\\n")
    assert capsys.readouterr().err == "headrace: building [3/4]\nheadrace: building [4/4]\n"


def test_other_lines_are_no_steps(capsys):
    """A compiler's warning is not progress."""
    counter = StepCounter("building", clock=lambda: 0.0)
    counter("warning: unused variable\n")
    assert capsys.readouterr().err == ""


def test_bytes_are_told_in_megabytes(capsys):
    """Of pip's count."""
    counter = StepCounter("downloading", PIP_BYTES, ("MB", 1_000_000), clock=lambda: 0.0)
    counter("Progress 76000000 of 76000000\n")
    assert capsys.readouterr().err == "headrace: downloading [76/76] MB\n"


def test_the_whole_output_of_a_tool_is_kept(tmp_path):
    """Its standard error too, and its exit status."""
    log = tmp_path / "log"
    lines = []
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert run_logged([sys.executable, "-c", script], log, lines.append) == 3
    assert sorted(lines) == ["err\n", "out\n"]
    assert {"out", "err"} <= set(log.read_text().splitlines())


def test_the_telling_lines_begin_at_the_first_error(tmp_path):
    """Not at the summary far below it."""
    log = tmp_path / "log"
    log.write_text("fine\n" * 50 + "a.cpp:1: error: no such thing\n" + "more\n" * 50)
    lines = telling_lines(log, count=3).splitlines()
    assert lines == ["a.cpp:1: error: no such thing", "more", "more"]


def test_without_an_error_the_last_lines_tell(tmp_path):
    """A tool that was killed says nothing of it."""
    log = tmp_path / "log"
    log.write_text("one\ntwo\nthree\n")
    assert telling_lines(log, count=2) == "two\nthree"
