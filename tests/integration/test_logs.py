"""llama.cpp's log: in ``logging``, in errors, and never on stderr by itself."""

from __future__ import annotations

import contextlib
import logging

import pytest

import headrace
from headrace.errors import HeadraceError
from headrace_llamacpp import logs
from headrace_llamacpp._native import lib
from tests.integration.driving import load_decoder_model
from tests.support import tiny_gguf
from tests.support.subprocesses import run_script
from tests.unit.engine.test_interrupted_driver import InterruptAt

SCRIPT = """
import sys
import headrace
from headrace import EngineParams, HeadraceError, ModelParams, SamplingParams
from tests.support import tiny_gguf

{before}
path = tiny_gguf.path("attention")
engine = EngineParams(n_ctx=16384, n_sequences=2, n_threads=1)  # beyond its training: a warning
with headrace.load_model(path, engine=engine) as model, model.open_session() as session:
    session.complete("the", max_tokens=8, sampling=SamplingParams(temperature=0.0))
    for reference in sys.argv[1:]:
        try:
            headrace.load_model(reference, backend="llamacpp")
        except HeadraceError as error:
            print(type(error).__name__)
    try:
        headrace.load_model(path, params=ModelParams(kv_overrides={{"llama.context_length": "x"}}))
    except HeadraceError as error:
        print(type(error).__name__)
"""


def _damaged(whole: bytes) -> dict[str, bytes]:
    """Files that fail to load, each at another place."""
    return {
        "header": whole[:12],
        "metadata": whole[:600],
        "tensor_infos": whole[: whole.index(b"blk.1.") + 3],
        "weights": whole[:-1000],
        "architecture": whole.replace(b"llama", b"llamq"),
        "missing_key": whole.replace(b"llama.block_count", b"llama.bluck_count"),
        "missing_tensor": whole.replace(b"blk.1.attn_q.weight", b"blk.1.attn_z.weight"),
        "missing_vocabulary": whole.replace(b"tokenizer.ggml.tokens", b"tokenizer.ggml.tokenz"),
        "version": whole[:4] + b"\x63" + whole[5:],
        "count": whole[:16] + b"\xff" * 8 + whole[24:],
    }


WHOLE = tiny_gguf.path("attention").read_bytes()


@pytest.mark.parametrize("kind", list(_damaged(WHOLE)))
def test_every_error_of_a_load_has_the_native_reason(tmp_path, kind):
    """In its message and with the lines of the log it comes from."""
    path = tmp_path / f"{kind}.gguf"
    path.write_bytes(_damaged(WHOLE)[kind])
    with pytest.raises(HeadraceError, match=rf"{kind}\.gguf") as caught:
        load_decoder_model(path)
    assert caught.value.native_log
    assert "gives no reason" not in str(caught.value)
    assert caught.value.hint


def test_nothing_is_printed_by_itself(tmp_path):
    """Loads, failures and warnings of a program that has set up no logging."""
    paths = []
    for kind, content in _damaged(WHOLE).items():
        paths.append(tmp_path / f"{kind}.gguf")
        paths[-1].write_bytes(content)
    ended = run_script(SCRIPT.format(before=""), *paths)
    assert ended.code == 0, ended.errors
    assert len(ended.output.split()) == len(paths) + 1
    assert ended.errors == ""


def test_with_logging_set_up_the_messages_come_at_their_levels():
    """Under headrace.llamacpp; informative ones only where they are asked for."""
    setup = "import logging; logging.basicConfig(level=logging.{level}, format='{form}')"
    for level, levels in (("WARNING", {"WARNING"}), ("INFO", {"INFO", "WARNING"})):
        ended = run_script(
            SCRIPT.format(before=setup.format(level=level, form="%(name)s %(levelname)s"))
        )
        assert ended.code == 0, ended.errors
        lines = [line for line in ended.errors.splitlines() if line.startswith("headrace.llamacpp")]
        assert {line.split()[1] for line in lines} >= levels
        assert level != "WARNING" or {line.split()[1] for line in lines} == levels


def test_tables_of_metadata_and_settings_are_debug(caplog):
    """Whoever logs at INFO reads where the model and its memory went, in a few lines."""
    caplog.set_level(logging.DEBUG, "headrace.llamacpp")
    path = tiny_gguf.path("attention")
    with headrace.load_model(path, backend="llamacpp") as model, model.open_session() as session:
        session.complete("the", max_tokens=2)
    lines = {logging.INFO: [], logging.DEBUG: []}
    for record in caplog.records:
        lines.setdefault(record.levelno, []).append(record.getMessage())
    assert any("- kv   0:" in line for line in lines[logging.DEBUG])
    assert any(line.startswith("print_info: arch") for line in lines[logging.DEBUG])
    assert any("model buffer size" in line for line in lines[logging.INFO])
    assert any("KV buffer size" in line for line in lines[logging.INFO])
    assert len(lines[logging.INFO]) < 25


def test_the_log_of_libllama_common_goes_the_same_way(caplog):
    """It knows only stderr otherwise."""
    with caplog.at_level(logging.WARNING, logger="headrace.llamacpp"):
        lib.hr_test_common_log(b"a template is odd: 50 %\n")
        logs.drain()
    assert [record.getMessage() for record in caplog.records] == ["a template is odd: 50 %"]
    assert caplog.records[0].levelno == logging.WARNING


def test_an_exception_in_the_middle_of_it_stops_no_later_line(caplog):
    """At any place of passing on what is new."""
    caplog.set_level(logging.WARNING, logger="headrace.llamacpp")

    def run(position):
        interrupter = InterruptAt(position, KeyboardInterrupt, ("/headrace_llamacpp/logs.py",))
        lib.hr_test_common_log(b"the first line\n")
        with contextlib.suppress(KeyboardInterrupt), interrupter:
            logs.drain()
        caplog.clear()
        lib.hr_test_common_log(b"the second line\n")
        logs.drain()
        assert "the second line" in [record.getMessage() for record in caplog.records], position
        return interrupter.fired

    run(10**9)
    position = 0
    while run(position):
        position += 1
    assert position > 5


def test_the_log_of_libllama_common_starts_no_thread():
    """Its own worker would not survive a fork, and would have to be ended at exit."""
    ended = run_script(
        """
        import os
        from headrace_llamacpp._native import lib
        for _ in range(1000):
            lib.hr_test_common_log(b"x")
        print(len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1)
        """
    )
    assert (ended.code, ended.output, ended.errors) == (0, "1\n", "")
