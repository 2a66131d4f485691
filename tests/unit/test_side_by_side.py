"""What the scripts of ``benchmarks`` share: rounds, tables, the page, workers; nothing is timed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """As it is for a script in the folder."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), str(BENCHMARKS / "workers"), *sys.path])


def test_everyone_is_measured_once_a_round_and_each_begins_one():
    """What the machine does at the moment hits nobody always."""
    from side_by_side.rounds import interleaved

    called = []
    candidates = {name: lambda name=name: called.append(name) or len(called) for name in "abc"}

    found = interleaved(candidates, 3)

    assert called == [*"abc", *"bca", *"cab"]
    assert found == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_a_spread_has_the_quarters():
    """In any order of the samples."""
    from side_by_side.rounds import Spread

    assert Spread.of([4.0, 1.0, 3.0, 2.0, 100.0]) == Spread(3.0, 1.0, 2.0, 4.0, 5)


def test_a_table_stands_straight():
    """Names to the left, numbers to the right, as Markdown and as it is."""
    from side_by_side.reports import table

    assert table(["who", "t/s"], [("headrace", 5), ("x", "10.5")]) == (
        "| who      |  t/s |\n|----------|-----:|\n| headrace |    5 |\n| x        | 10.5 |"
    )


def test_figures_replace_those_that_stood_in_their_place(tmp_path):
    """And nothing else; a picture comes with its title."""
    from side_by_side.page import fill

    page = tmp_path / "page.md"
    page.write_text(
        "a\n<!-- figures: one -->\nold\n<!-- end -->\nb\n<!-- figures: two -->\n<!-- end -->\n"
    )
    picture = tmp_path / "made" / "one-x.svg"
    picture.parent.mkdir()
    picture.write_text("<svg><title>Ones &amp; twos</title></svg>")

    for _ in range(2):
        fill(page, "one", "python one.py", "| a |", [picture])
    fill(page, "two", "python two.py", "words")

    text = re.sub(r"\d{4}-\d\d-\d\d", "DAY", page.read_text())
    assert text == (
        "a\n<!-- figures: one -->\n\n`python one.py`, DAY:\n\n| a |\n\n"
        "![Ones & twos](pictures/one-x.svg)\n\n<!-- end -->\nb\n<!-- figures: two -->\n\n"
        "`python two.py`, DAY:\n\n```text\nwords\n```\n\n<!-- end -->\n"
    )
    assert (tmp_path / "pictures" / "one-x.svg").read_text() == picture.read_text()


def test_figures_without_a_place_are_refused(tmp_path):
    """Rather than lost."""
    from side_by_side.page import fill

    page = tmp_path / "page.md"
    page.write_text("nothing")

    with pytest.raises(ValueError, match="no place for the figures of one"):
        fill(page, "one", "command", "| a |")


def test_the_page_has_a_place_for_every_part():
    """And every place a script."""
    parts = re.findall(r'Part\(\s*"(\w+)"', (BENCHMARKS / "all.py").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")

    assert len(parts) > 5
    assert sorted(re.findall(r"<!-- figures: (\w+) -->", page)) == sorted(parts)


class Ticking:
    """A runtime whose tokens come one after the other, each when the clock says so."""

    n_vocab = 100

    def __init__(self, clock):
        self.clock = clock
        self.prompts = []

    def generate(self, prompt, limit, on_token):
        """A token every tenth of a second."""
        self.prompts.append(prompt)
        for _ in range(limit):
            self.clock.now += 0.1
            if not on_token():
                return


class Clock:
    """Time that goes on when somebody says so."""

    now = 5.0

    def perf_counter(self):
        """Now."""
        return self.now

    def process_time(self):
        """Now, too."""
        return self.now


@pytest.fixture
def measurements(monkeypatch):
    """Of the ticking runtime."""
    import serving

    clock = Clock()
    monkeypatch.setattr(serving, "time", clock)
    return serving.Measurements(Ticking(clock))


def test_a_worker_counts_the_tokens_of_the_time_it_was_given(measurements):
    """Ten a second, whatever came before."""
    assert measurements.decode(streams=1, seconds=2.0)["rate"] == pytest.approx(10)


def test_a_worker_waits_for_a_few_tokens_however_slow(measurements):
    """A rate needs two steps."""
    before = measurements._runtime.clock.now

    assert measurements.decode(streams=1, seconds=0.05, settle=0.0)["rate"] == pytest.approx(10)
    assert measurements._runtime.clock.now - before == pytest.approx(0.4)


def test_a_worker_measures_a_prompt_up_to_its_first_token(measurements):
    """No two prompts are the same."""
    rate = measurements.prefill(tokens=50, seconds=0.35)["rate"]

    assert rate == pytest.approx(500)
    prompts = measurements._runtime.prompts
    assert len(prompts) == len({tuple(prompt) for prompt in prompts}) == 4
    assert {len(prompt) for prompt in prompts} == {50}


def test_a_worker_counts_what_came_of_a_generation(measurements):
    """From its beginning to its end."""
    found = measurements.complete(new=20)

    assert (found["tokens"], found["seconds"]) == (20, pytest.approx(2.0))


def test_prompts_have_a_beginning_in_common_if_asked(measurements):
    """The rest is their own."""
    first, second = (measurements.prompt(30, common=20) for _ in range(2))

    assert first[:20] == second[:20]
    assert first[20:] != second[20:]
