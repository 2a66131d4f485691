"""The public types, as the type checkers of users see them: mypy and pyright, both strict."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.scaffold import new_backend

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCES = [ROOT / "packages/core/src"]
EXAMPLE = ROOT / "examples/headrace-transformers/src"

Complaints = dict[Path, dict[int, str]]
"""Messages by file and line."""


def mypy(folder: Path, paths: list[Path]) -> Complaints:
    """What mypy says of the files of a folder."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            # No cache: tests that run at the same time would write one file.
            *(
                f"--cache-dir={os.devnull}",
                "--disable-error-code=import-not-found",
                "--config-file=",
            ),
            *("--disable-error-code=import-untyped", "--no-warn-unused-ignores"),
            *("--hide-error-context", "--no-color-output", "--show-absolute-path"),
            *map(str, sorted(folder.rglob("*.py"))),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MYPYPATH": os.pathsep.join(map(str, paths))},
        cwd=folder,
    )
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    found: Complaints = {}
    for line in ended.stdout.splitlines():
        match = re.fullmatch(r"(.+?):(\d+): error: (.*)", line)
        if match and Path(match[1]).is_relative_to(folder):
            found.setdefault(Path(match[1]), {})[int(match[2])] = match[3]
    return found


def pyright(folder: Path, paths: list[Path], config: Path) -> Complaints:
    """What pyright says of them."""
    settings = {
        "include": [str(folder)],
        "extraPaths": [str(path) for path in paths],
        "typeCheckingMode": "strict",
        "reportMissingImports": "none",
        "reportMissingModuleSource": "none",
        # What a library without types brings in is no fault of the program's.
        "reportUnknownMemberType": "none",
        "reportUnknownArgumentType": "none",
        "reportUnknownVariableType": "none",
        "reportUnknownParameterType": "none",
        "reportUnknownLambdaType": "none",
        "reportMissingTypeStubs": "none",
        "reportUntypedFunctionDecorator": "none",
        # An author extends the methods that begin with an underscore.
        "reportPrivateUsage": "none",
        "pythonVersion": "3.11",
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    found: Complaints = {}
    told = json.loads(ended.stdout)
    assert told["summary"]["filesAnalyzed"], ended.stdout
    for each in told["generalDiagnostics"]:
        if each["severity"] == "error":
            line = each["range"]["start"]["line"] + 1
            found.setdefault(Path(each["file"]), {})[line] = each["message"]
    return found


@pytest.fixture(params=["mypy", "pyright"])
def complaints(request, tmp_path) -> Callable[..., Complaints]:
    """Has a checker look at the files of a folder."""

    def look(folder: Path, *more: Path) -> Complaints:
        paths = [*SOURCES, *more]
        if request.param == "mypy":
            return mypy(folder, paths)
        return pyright(folder, paths, tmp_path / "pyrightconfig.json")

    return look


def test_small_programs_are_accepted(complaints):
    """Those of callers, and a backend."""
    assert complaints(HERE / "programs") == {}


def test_planted_mistakes_are_refused(complaints):
    """Each of them, and nothing beside them."""
    folder = HERE / "mistakes"
    found = complaints(folder)
    for path in sorted(folder.glob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        planted = {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}
        told = found.get(path, {})
        assert planted - set(told) == set(), "not refused"
        assert {line: text for line, text in told.items() if line not in planted} == {}


@pytest.mark.parametrize("service", [False, True], ids=["library", "service"])
def test_the_scaffold_is_accepted(complaints, tmp_path, service):
    """A project that an author begins with."""
    project = new_backend("planted", tmp_path / "project", service=service)
    assert complaints(project / "src") == {}


def test_the_example_is_accepted(complaints):
    """Also where its library is not installed."""
    assert complaints(EXAMPLE) == {}
