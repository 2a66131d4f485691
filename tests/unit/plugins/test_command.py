"""What the command line shows of plugins that are broken, talk, or hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.unit.plugins.conftest import Site
from tests.unit.plugins.test_discovery import backend_with


def headrace(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where the site is installed."""
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    command = [sys.executable, "-m", "headrace", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_what_plugins_print_is_no_output_of_the_command(site):
    """JSON stays JSON."""
    talks = "print('hello from an import')\n" + "    print('again')\n".lstrip()
    site.install("talks", talks + "raise OSError")
    ended = headrace(site, "backends", "--json")
    assert ended.returncode == 0
    assert "talks" in {each["plugin"] for each in json.loads(ended.stdout)["quarantine"]}
    assert "hello from an import\nagain\n" in ended.stderr


@pytest.mark.parametrize("command", ["backends", "doctor"])
@pytest.mark.parametrize("base", ["BaseException", "__import__('headrace').BackendError"])
def test_a_panic_ends_no_command(site, command, base):
    """It is told in a line; the rest is there."""
    site.install("broken", f"class Panic({base}):\n    pass\nraise Panic('x\\n' * 5000)")
    arguments = [command, *(["--no-self-test"] if command == "doctor" else [])]
    ended = headrace(site, *arguments)
    assert ended.returncode == (1 if command == "doctor" else 0)
    assert "fake" in ended.stdout
    (line,) = [each for each in ended.stdout.splitlines() if " x x x" in each]
    assert len(line) < 500
    assert line.endswith("…")
    assert "Traceback" not in ended.stdout + ended.stderr
    assert headrace(site, *arguments, "--debug").stdout.count("x\n") >= 5000
    told = json.loads(headrace(site, *arguments, "--json").stdout)
    (entry,) = [
        each for each in told.get("quarantine", told.get("findings")) if "Panic" in str(each)
    ]
    assert entry["traceback"].count("x\n") >= 5000


def test_a_backend_that_cannot_speak_of_itself_is_listed(site):
    """With what it raised, in a line."""
    odd = backend_with(
        build="lambda self: exit(3)",
        version="'1 ' * 5000",
        capabilities="lambda self, answers=[frozenset()]: answers.pop()",
    )
    site.install("odd", odd)
    ended = headrace(site, "backends")
    assert ended.returncode == 0
    assert "    library: none: backend 'odd' raised SystemExit in build: 3" in ended.stdout
    assert max(len(each) for each in ended.stdout.splitlines()) < 500


def test_doctor_says_which_can_load_raises(site):
    """And ends with what it ends with for whatever is broken."""
    site.install("odd", backend_with(can_load="lambda self, reference: 1 / 0"))
    ended = headrace(site, "doctor", "--no-self-test")
    assert ended.returncode == 1
    assert "BROKEN: can_load of backend odd: ZeroDivisionError" in ended.stdout
