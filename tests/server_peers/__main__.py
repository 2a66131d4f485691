"""llama.cpp's own server tests against headrace's server: ``python -m tests.server_peers``.

The tests come out of the pinned source distribution and stay in headrace's cache. What is not
passed stands in ``not_passed.txt``, each with a reason; a difference to that list fails, in either
direction. ``--peer PROGRAM`` runs a real llama-server instead and compares nothing.
"""

from __future__ import annotations

import argparse
import os
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
LIST = HERE / "not_passed.txt"
_FOLDER = Path("tools") / "server" / "tests"


def sources() -> Path:
    """The folder of the tests; fetched once."""
    from native_build.download import fetch
    from native_build.pin import PINNED
    from native_build.settings import Settings

    found = Settings.from_environment()
    if found.source_dir is not None and (found.source_dir / _FOLDER).is_dir():
        return found.source_dir / _FOLDER
    kept = found.cache_dir / "server-tests" / f"{PINNED.project}-{PINNED.version}"
    if not kept.is_dir():
        fetch(PINNED, kept, ("tools", "models"), found.cache_dir)
    return kept / _FOLDER


def expected() -> dict[str, str]:
    """Tests that are not passed, with reasons; a name without brackets stands for all in it."""
    found = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition("\t")
            if not reason.strip():
                raise SystemExit(f"{LIST.name}: {name!r} has no reason; put one behind a tab")
            found[name] = reason.strip()
    return found


def covered(name: str, known: Iterable[str]) -> str | None:
    """The entry that stands for a test, if there is one: itself, its function or its file."""
    for each in (name, name.partition("[")[0], name.partition("::")[0]):
        if each in known:
            return each
    return None


def outcomes(report: Path) -> dict[str, str]:
    """Each test's outcome: ``passed``, ``failed`` or ``skipped``."""
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "passed"
        found[name] = "skipped" if "skipped" in kinds else outcome
    return found


def run(folder: Path, program: Path, arguments: Sequence[str], report: Path) -> None:
    """Run the tests in their folder."""
    environment = {
        **os.environ,
        "LLAMA_SERVER_BIN_PATH": str(program),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(folder)]),
    }
    command = [sys.executable, "-m", "pytest", "-p", "peers_plugin", "-p", "no:cacheprovider"]
    command += ["-q", "--tb=short", f"--junitxml={report}", *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=False)


def launcher(folder: Path) -> Path:
    """A program that starts the adapter with this Python."""
    path = folder / "llama-server"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "llama_server.py"}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def differences(found: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """What is not as the list has it, of the tests that were run."""
    told = []
    failed = {name for name, outcome in found.items() if outcome == "failed"}
    for name in sorted(failed):
        if covered(name, known) is None:
            told.append(f"not passed, and not in the list: {name}")
    for entry in sorted(known):
        ran = [
            name
            for name in found
            if covered(name, (entry,)) is not None and found[name] != "skipped"
        ]
        if ran and not any(name in failed for name in ran):
            told.append(f"in the list, and passed: {entry}")
    return told


def main(arguments: Sequence[str]) -> int:
    """Run them and say what differs from the list."""
    parser = argparse.ArgumentParser(prog="server_peers", description=__doc__)
    parser.add_argument("--peer", type=Path, help="a real llama-server to run instead")
    parser.add_argument("--report", type=Path, default=Path("server-peers.xml"))
    asked, rest = parser.parse_known_args(arguments)
    folder, report = sources(), asked.report.resolve()
    report.parent.mkdir(parents=True, exist_ok=True)
    program = asked.peer.resolve() if asked.peer else launcher(report.parent)
    run(folder, program, rest or ["-m", "not slow", "unit"], report)
    found = outcomes(report)
    counts = {kind: list(found.values()).count(kind) for kind in ("passed", "failed", "skipped")}
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()))
    told = [] if asked.peer else differences(found, expected())
    print("\n".join(told) if told else "as the list has it")
    return 1 if told or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
