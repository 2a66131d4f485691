"""Exceptions, aborts and the log: nothing of llama.cpp's gets past the shim."""

from __future__ import annotations

import logging

from headrace.errors import ModelFormatError
from headrace_llamacpp import logs
from headrace_llamacpp._native import lib, new_report, text
from tests.integration.driving import load_decoder_model
from tests.support import tiny_gguf
from tests.support.subprocesses import run_script


def test_an_abort_becomes_a_status_with_its_message():
    """The process goes on, the assertion's words come along."""
    report = new_report()
    assert lib.hr_test_abort(report) == lib.HR_NATIVE_ABORT
    assert text(report.message).endswith("asked to abort")


def test_an_exception_becomes_a_status_with_its_message():
    """Whatever its type."""
    report = new_report()
    assert lib.hr_test_throw(0, report) == lib.HR_EXCEPTION
    assert text(report.message) == "asked to throw"
    assert lib.hr_test_throw(1, report) == lib.HR_OUT_OF_MEMORY
    assert lib.hr_test_throw(2, report) == lib.HR_FOREIGN_EXCEPTION


def test_a_message_does_not_outlive_its_call():
    """A report is begun anew by every call."""
    report = new_report()
    lib.hr_test_abort(report)
    lib.hr_test_throw(2, report)
    assert "asked to abort" not in text(report.message)


def test_the_native_log_goes_to_logging(caplog):
    """Under one name, with levels, and without the line ends."""
    caplog.set_level(logging.DEBUG, logger="headrace.llamacpp")
    load_decoder_model(tiny_gguf.path("attention")).close()
    logs.drain()
    messages = [r for r in caplog.records if r.name == "headrace.llamacpp"]
    assert any("arch" in each.getMessage() for each in messages)
    assert not any(each.getMessage().endswith("\n") for each in messages)


def test_an_error_carries_the_end_of_its_own_log(tmp_path):
    """And not that of another call."""
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + b"\xff" * 100)
    load_decoder_model(tiny_gguf.path("attention")).close()
    try:
        load_decoder_model(bad)
    except ModelFormatError as error:
        tail = error.native_log
    assert 0 < len(tail) <= logs.TAIL
    assert not any("tiny attention" in line for line in tail)


def test_nothing_is_ever_printed(tmp_path):
    """Loads that work and loads that fail leave stdout and stderr alone, warnings included."""
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    ended = run_script(
        """
        import sys
        from headrace.errors import ModelFormatError
        from headrace.params import EngineParams
        from tests.integration.driving import Driver, load_decoder_model
        model = load_decoder_model(sys.argv[1])
        driver = Driver(model, EngineParams(n_ctx=256, n_sequences=2, full_window=True))
        driver.generate(0, [5, 6, 7], 3)
        driver.decoder.close()
        model.close()
        try:
            load_decoder_model(sys.argv[2])
        except ModelFormatError:
            pass
        """,
        tiny_gguf.path("window"),
        tmp_path / "bad.gguf",
    )
    assert (ended.code, ended.output, ended.errors) == (0, "", "")
