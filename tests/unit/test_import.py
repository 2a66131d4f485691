"""``import headrace``: a program pays for what it uses, when it does.

What is counted are modules, not seconds: an import that is not made takes none.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import headrace
import headrace.protocols
import headrace_fake


def imported_by(code: str) -> set[str]:
    """The modules that a process of its own has when it has run this."""
    code += "\nimport sys; print('\\n'.join(sys.modules), file=sys.__stdout__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def of_headrace(modules: set[str]) -> set[str]:
    """Those of them that are headrace's own."""
    return {name for name in modules if name.partition(".")[0] == "headrace"}


def test_the_import_brings_errors_and_nothing_that_has_to_be_made():
    """An ``except`` clause names an error while another is under way: they are there at once."""
    modules = imported_by("import headrace")

    assert of_headrace(modules) == {
        "headrace",
        "headrace._version",
        "headrace.common",
        "headrace.common.above",
        "headrace.common.later",
        "headrace.errors",
    }
    assert modules & {"attr", "attrs", "inspect", "importlib.metadata", "threading"} == set()


GENERATION = """
import headrace
with headrace.load_model({reference!r}) as model, model.open_session() as session:
    session.complete("a", max_tokens=2)
"""
"""What the smallest of programs does."""
UNUSED = {
    "anyio",
    "asyncio",
    "click",
    "ctypes",
    "jsonschema",
    "llguidance",
    "multiprocessing",
    "numpy",
    "rich",
    "subprocess",
}
"""What others need: a task, a grammar, a tool's schema, a terminal, a child process."""
ASIDE = {
    "headrace.engine.chat",
    "headrace.engine.draft_model",
    "headrace.engine.infill",
    "headrace.engine.saving",
    "headrace.engine.scoring",
    "headrace.engine.vectors",
    "headrace.grammar",
    "headrace.inspection",
    "headrace.masks.matcher",
    "headrace.requests.conversation",
    "headrace.results.chat",
    "headrace.results.check",
    "headrace.results.diagnosis",
    "headrace.results.files",
    "headrace.results.vectors",
    "headrace.state",
    "headrace.streams.chat",
}
"""What headrace has for conversations, grammars, vectors, states and files."""


def test_a_plain_generation_imports_what_it_uses():
    """Not what conversations, grammars, vectors or states would need."""
    modules = imported_by(GENERATION.format(reference="fake:echo"))

    assert modules & (UNUSED | ASIDE) == set()
    # With room for a few more; each takes about half a millisecond, and each class a third.
    assert len(of_headrace(modules)) <= 125


def test_looking_for_plugins_imports_none_of_what_they_compute_with():
    """All of them are asked, and one of them loads."""
    modules = imported_by("import headrace; headrace.backends()")

    assert {"headrace_fake.plugin", "headrace_fake.backend"} <= modules
    assert modules & {"headrace_fake.decoder", "headrace_fake.model", "headrace.engine"} == set()


def imported_by_command(*arguments: str) -> set[str]:
    """The modules that a call of the command line needs."""
    code = (
        "import contextlib, io, sys\n"
        f"sys.argv = ['headrace', *{arguments!r}]\n"
        "from headrace_command import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()"
    )
    return imported_by(code)


OF_ALL_COMMANDS = ("app", "group", "limits", "options", "report", "settings", "streams")
"""The modules of the command line that every call of it needs."""


def test_the_version_needs_no_command():
    """Nor plugins, parameters or anything that computes."""
    modules = imported_by_command("--version")

    assert {name for name in of_headrace(modules) if name.startswith("headrace.cli.")} == {
        f"headrace.cli.{name}" for name in OF_ALL_COMMANDS
    }
    assert "click" in modules
    assert modules & (UNUSED | ASIDE) - {"click"} == set()
    assert modules & {"importlib.metadata", "pluggy", "headrace.params", "headrace.model"} == set()


def test_the_list_of_commands_needs_none_of_them():
    """Plugins are asked for theirs, which are not imported either."""
    modules = imported_by_command("--help")

    assert {name for name in of_headrace(modules) if name.startswith("headrace.cli.")} == {
        f"headrace.cli.{name}" for name in (*OF_ALL_COMMANDS, "plugin_commands")
    }
    assert {"headrace_fake.plugin", "click"} <= modules
    assert modules & (UNUSED | ASIDE) - {"click"} == set()
    assert modules & {"headrace.engine", "headrace_server.cli", "starlette", "uvicorn"} == set()


def test_the_help_of_a_command_looks_for_no_plugins():
    """It is read before anything is done."""
    modules = imported_by_command("run", "--help")

    assert "headrace.cli.run" in modules
    assert modules & (UNUSED | ASIDE) - {"click"} == set()
    assert modules & {"importlib.metadata", "pluggy", "headrace.model"} == set()


def test_a_command_imports_no_other():
    """``run`` is what most people run."""
    modules = imported_by_command("run", "fake:echo", "a", "-n", "2", "--quiet")

    assert "headrace.cli.run" in modules
    assert modules & {"headrace.cli.doctor", "headrace.cli.conformance"} == set()
    assert modules & (UNUSED | ASIDE) - {"click", "rich"} == set()


def test_looking_at_files_and_machines_is_imported_when_it_is_done():
    """Most programs do not."""
    code = (
        "import headrace, sys\n"
        "headrace.load_model\n"
        "assert not any(name.startswith('headrace.inspection') for name in sys.modules)\n"
        "assert headrace.check_model is headrace.check_model\n"
        "assert 'headrace.inspection.check' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "code",
    [
        "from headrace.backend.plugins import discover\n"
        "assert 'references' in {each.plugin for each in discover().resolvers}",
        "from headrace.reference import ModelReference\n"
        "from headrace import ModelNotFoundError\n"
        "try: ModelReference('fake:', backend='none').load()\n"
        "except LookupError as error: assert type(error).__name__ == 'BackendNotFoundError'\n"
        "else: raise AssertionError",
    ],
    ids=["resolvers", "references"],
)
def test_what_reaches_up_does_so_whichever_module_comes_first(code):
    """Lower floors know where higher ones are before those are imported."""
    imported_by(code)


def test_every_public_name_is_there_and_listed():
    """Also those that come late."""
    assert set(headrace.__all__) <= set(dir(headrace))
    assert all(getattr(headrace, name) is not None for name in headrace.__all__)


@pytest.mark.parametrize("module", [headrace, headrace.protocols, headrace_fake])
def test_type_checkers_find_each_late_name_where_the_program_does(module):
    """They read imports that are never made."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    block = next(each for each in tree.body if isinstance(each, ast.If))
    told = {
        each.module: tuple(name.name for name in each.names)
        for each in block.body
        if isinstance(each, ast.ImportFrom)
    }

    assert told == module._LATER
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_a_star_brings_every_public_name():
    """Late ones are imported for it."""
    names: dict[str, object] = {}
    exec("from headrace import *", names)

    assert set(headrace.__all__) <= set(names)


def test_another_name_is_an_attribute_error():
    """As of every module."""
    with pytest.raises(AttributeError, match="no attribute 'lod_model'"):
        headrace.lod_model  # noqa: B018
