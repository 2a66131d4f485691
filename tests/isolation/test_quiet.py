"""A child's log goes to ``logging``, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import json, os, sys
from headrace_subprocess.worker import Worker
import headrace_subprocess.worker as module
{setup}
class Lines:
    _lines = []
Worker._take_line(Lines(), module._LOG_MARK + json.dumps(
    {{"name": "headrace.llamacpp", "level": 30, "text": "a warning of the child"}}
))
print(Lines._lines)
"""


def _ended(setup):
    command = [sys.executable, "-c", _SCRIPT.format(setup=setup)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


def test_without_logging_a_childs_warning_is_printed_nowhere():
    """As in this process; an error would carry it."""
    ended = _ended("")
    assert (ended.stdout, ended.stderr) == ("['a warning of the child']\n", "")


def test_with_logging_it_comes():
    """At its level."""
    assert "a warning of the child" in _ended("import logging; logging.basicConfig()").stderr
