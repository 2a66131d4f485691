"""Who keeps a caller waiting is named, and goes on."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from headrace.backend.plugins import discover
from headrace.common import overdue
from tests.unit.plugins.test_discovery import backend_with, names

WAITS = """
    import sys

    told = sys.modules["headrace_test_told"]
"""


@pytest.mark.parametrize("place", ["an import", "a hook", "capabilities"])
def test_a_plugin_that_blocks_is_named(site, told, place):
    """It waits until that is heard, and is then used like any other."""
    source = {
        "an import": "    told.event.wait(30)\n" + backend_with(name="'mill'"),
        "a hook": backend_with(name="'mill'").replace(
            "register(B", "told.event.wait(30); register(B"
        ),
        "capabilities": backend_with(
            name="'mill'", capabilities="lambda self: told.event.wait(30) and frozenset()"
        ),
    }[place]
    site.install("mill", WAITS + source)
    assert "mill" in names(discover())
    assert told.messages == [
        "still waiting for plugin 'mill' to be imported, after 0 s; "
        "HEADRACE_PLUGINS can leave it out"
    ]


def test_nobody_is_named_who_is_in_time(site, told, monkeypatch):
    """And no thread is left."""
    monkeypatch.setattr(overdue, "PATIENCE", 600.0)
    site.install_backend("mill")
    before = threading.active_count()
    discover()
    assert told.messages == []
    assert threading.active_count() == before


def test_a_program_that_set_up_no_logs_shows_it_on_stderr():
    """Whoever waits at a terminal sees for whom."""
    code = (
        "import threading, sys\n"
        "from headrace.common import overdue\n"
        "shown = threading.Event()\n"
        "class Stderr:\n"
        "    def write(self, text):\n"
        "        sys.__stderr__.write(text)\n"
        "        shown.set()\n"
        "    def flush(self):\n"
        "        pass\n"
        "sys.stderr = Stderr()\n"
        "overdue.PATIENCE = 0.01\n"
        "with overdue.told_when_overdue('the mill to turn', 'open the gate'):\n"
        "    assert shown.wait(30)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "still waiting for the mill to turn, after 0 s; open the gate" in ran.stderr


def test_a_process_that_gets_no_more_threads_waits_in_silence(monkeypatch):
    """Nothing else depends on the watch."""

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with overdue.told_when_overdue("x", "y"):
        pass
