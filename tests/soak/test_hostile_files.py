"""Mutated model files by the thousand: the process that has them checked notices nothing.

``HEADRACE_SOAK_FILES`` says how many (10,000 by default), ``HEADRACE_SOAK_SECONDS`` how long at
most.
"""

from __future__ import annotations

import logging
import os
import threading
import time

import pytest

if os.environ.get("HEADRACE_TEST_LLAMACPP") != "1":
    pytest.skip("the llama.cpp backend was not asked for", allow_module_level=True)

from tests.support import hostile, mutations

FILES = int(os.environ.get("HEADRACE_SOAK_FILES", "10000"))
SECONDS = float(os.environ.get("HEADRACE_SOAK_SECONDS", "1800"))


def test_no_file_reaches_the_process_that_asks(tmp_path, capsys):
    """Every file gets a verdict, in its time, and memory stays what it was."""
    logging.getLogger("headrace").setLevel(logging.CRITICAL)
    threads = threading.active_count()
    until = time.monotonic() + SECONDS
    tally = hostile.check_files(hostile.cases(FILES), tmp_path, until)
    with capsys.disabled():
        print(f"\n{tally}")
    assert set(tally.verdicts) == set(mutations.KINDS)
    assert threading.active_count() == threads
    # A file has seven stages, and sometimes a process to be started.
    assert tally.slowest < 3 * hostile.LIMITS.stage_seconds
    assert tally.resident_mib[-1] - tally.resident_mib[0] < 20
