"""``headrace new-backend``: a project that works from the first minute, or nothing at all."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from headrace import scaffold
from headrace.cli.app import app
from headrace.errors import ParamsError

ROOT = Path(__file__).parents[3]
RULES = ("discovery", "load", "tokens", "stream", "cancel", "rewind")

COMMON = {
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "tox.ini",
    "src/headrace_my_lib/__init__.py",
    "src/headrace_my_lib/backend.py",
    "src/headrace_my_lib/plugin.py",
    "src/headrace_my_lib/py.typed",
    "tests/test_backend.py",
    "tests/test_conformance.py",
}
"""Files of a project of either kind."""


def files(folder: Path) -> set[str]:
    """What is in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def check_python(folder: Path) -> None:
    """No placeholder is left in it, and Python takes it."""
    for path in folder.rglob("*.py"):
        text = path.read_text()
        assert "$" not in text
        compile(text, str(path), "exec")


def test_the_project_is_whole(tmp_path):
    """Everything that a distribution needs, and no placeholder left."""
    target = scaffold.new_backend("my-lib", tmp_path / "project")
    assert files(target) == COMMON | {
        "src/headrace_my_lib/decoder.py",
        "src/headrace_my_lib/model.py",
        "src/headrace_my_lib/sampling.py",
    }
    check_python(target)
    assert list(tmp_path.iterdir()) == [target]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert target.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(
    "name", ["", "My", "1st", "a b", "a--b", "a-", "-a", "ä", "a/b", "..", "x" * 41]
)
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path):
    """Before anything is written."""
    with pytest.raises(ParamsError, match="lower-case letters"):
        scaffold.new_backend(name, tmp_path / "project")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(tmp_path):
    """With the distribution that has it."""
    with pytest.raises(ParamsError, match="'fake' already, of headrace-fake"):
        scaffold.new_backend("fake", tmp_path / "project")


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_nothing_is_overwritten(kind, tmp_path):
    """Whatever stands there."""
    target = tmp_path / "project"
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ParamsError, match="exists already"):
        scaffold.new_backend("mine", target)
    assert list(tmp_path.iterdir()) == [target]


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    """Neither half a project nor a temporary folder."""
    with pytest.raises(ParamsError, match="cannot be written"):
        scaffold.new_backend("mine", tmp_path / "no such folder" / "project")
    written = []

    def full(self, text, **how):
        written.append(self)
        if len(written) == 3:
            raise OSError("no space left")
        return len(text)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ParamsError, match="no space left"):
        scaffold.new_backend("mine", tmp_path / "project")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_to_do_next(call, tmp_path, monkeypatch):
    """And refuses with a usage error."""
    monkeypatch.chdir(tmp_path)
    done = call("new-backend", "mine")
    assert done.code == 0
    assert "cd headrace-mine && pip install -e '.[test]' && pytest" in done.out
    again = call("new-backend", "mine")
    assert again.code == 2
    assert "'headrace-mine' exists already" in again.err


def test_a_project_for_a_service_is_whole_and_short(tmp_path):
    """A plugin of less than 200 lines, and a stand-in for its tests."""
    target = scaffold.new_backend("my-lib", tmp_path / "project", service=True)
    assert files(target) == COMMON | {
        "src/headrace_my_lib/service.py",
        "tests/conftest.py",
        "tests/stand_in.py",
    }
    plugin = sorted((target / "src").rglob("*.py"))
    assert sum(len(path.read_text().splitlines()) for path in plugin) < 200
    check_python(target)


def readme(kind, folder):
    """The README of a new project, or of the example."""
    if kind == "example":
        return (ROOT / "examples" / "headrace-transformers" / "README.md").read_text()
    project = scaffold.new_backend("my-lib", folder / "project", service=kind == "service")
    return (project / "README.md").read_text()


@pytest.mark.parametrize("kind", ["library", "service", "example"])
def test_the_commands_of_a_readme_are_understood(kind, tmp_path):
    """Their names and options exist; nothing is run."""
    blocks = re.findall(r"^```console\n(.*?)^```$", readme(kind, tmp_path), re.M | re.S)
    lines = [shlex.split(line) for line in "".join(blocks).splitlines()]
    known = [words[1:] for words in lines if words[0] == "headrace"]
    assert known
    for name, *arguments in known:
        app.commands[name].make_context(name, arguments, resilient_parsing=False)


@pytest.mark.slow
def test_a_new_project_installs_and_passes(tmp_path):
    """In an environment of its own: its tests, and ``headrace conformance``."""
    project = scaffold.new_backend("brand-new", tmp_path / "project")
    python = _environment(tmp_path / "venv")
    _run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", ".", at=project)
    told = _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", at=project)
    assert " passed" in told
    model = tmp_path / "some.brand-new"
    model.write_text("The miller opened the gate and the wheel turned until the evening came.")
    rules = [word for rule in RULES for word in ("--rule", rule)]
    told = _run(
        python, "-m", "headrace", "conformance", "--backend", "brand-new", "--model", str(model),
        *rules, at=tmp_path,
    )  # fmt: skip
    assert "0 failed" in told
    if shutil.which("ruff"):
        for check in (["check"], ["format", "--check"]):
            subprocess.run(["ruff", *check, "--no-cache", "."], cwd=project, check=True)


@pytest.mark.slow
def test_a_new_project_for_a_service_installs_and_passes(tmp_path):
    """Its tests, the kit among them, against the stand-in."""
    project = scaffold.new_backend("brand-new", tmp_path / "project", service=True)
    python = _environment(tmp_path / "venv")
    _run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", ".", at=project)
    told = _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", at=project)
    assert " passed" in told
    assert " failed" not in told
    if shutil.which("ruff"):
        for check in (["check"], ["format", "--check"]):
            subprocess.run(["ruff", *check, "--no-cache", "."], cwd=project, check=True)


def _environment(folder: Path) -> Path:
    """An environment that sees what this one has, and where something may be installed."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    home = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # What is installed editable here stands in .pth files, which are only read in site folders.
    here = [path for path in sys.path if path]
    (home / "shared.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in here)
    )
    return python


def _run(*command: str | Path, at: Path) -> str:
    """What the command wrote; it must end well."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=at,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
