"""What the pages on the server show is there, and runs."""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path

import pytest
from starlette.routing import Route

from headrace_server import create_app
from tests.unit.test_documentation import BLOCK, commands

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ADDRESS = "http://localhost:8080"
CLIENTS = {
    name: block
    for block in BLOCK.findall((DOCS / "server-clients.md").read_text())
    for name in [re.search(r"^(?:from|import) (\w+)", block, re.M)[1]]
}


def documented() -> set[str]:
    """The endpoints of the table: method and path, whatever its parts are called."""
    text = (DOCS / "server.md").read_text()
    found = set()
    for cell in re.findall(r"^\| (`(?:GET|POST)`?[^|]*) \|", text, re.M):
        methods = re.findall(r"\b(?:GET|POST|DELETE)\b", cell)
        paths = re.findall(r"/[\w{}./-]*", cell)
        found |= {f"{method} {re.sub('{.*?}', '{}', path)}" for method in methods for path in paths}
    return found


def served() -> set[str]:
    """The endpoints of a server; the page's own files are none."""
    app = create_app("fake:", metrics=True)
    found = set()
    for route in app.routes:
        assert isinstance(route, Route)
        path = re.sub("{.*?}", "{}", route.path)
        if route.include_in_schema or path == "/":
            found |= {f"{method} {path}" for method in route.methods - {"HEAD"}}
    return found


def test_the_table_has_every_endpoint_and_no_other():
    """With their methods."""
    assert documented() == served()


def test_the_block_of_the_server_makes_an_application():
    """For any ASGI server."""
    program = "\n".join(BLOCK.findall((DOCS / "server.md").read_text()))
    names: dict = {}
    exec(compile(program.replace('"model.gguf"', '"fake:Paris."'), "server.md", "exec"), names)
    server = names["app"].state.server
    assert [each.name for each in server.settings.api_keys] == ["me"]
    assert server.settings.page is False


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_the_recipe_of_a_client_answers(serve, capsys, name):
    """Where the client is installed."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    url = serve("fake:A channel of water.").url
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of other people's programs
        exec(compile(CLIENTS[name].replace(ADDRESS, url), name, "exec"), {"__name__": "recipe"})
    if "print(" in CLIENTS[name]:
        assert "A channel of water." in capsys.readouterr().out


@pytest.mark.parametrize("page", ["server.md", "server-clients.md", "server-team.md"])
def test_the_commands_of_a_page_are_understood(page):
    """Here, where the server is installed: the options exist."""
    import headrace_command  # the command line as it is installed
    from headrace.cli.app import app

    assert headrace_command.main is not None
    asked = list(commands(DOCS / page))
    for arguments in asked:
        context = app.make_context("headrace", [], resilient_parsing=True)
        command = app.get_command(context, arguments[0])
        command.make_context(command.name, arguments[1:], parent=context)
    assert asked or page == "server-clients.md"


def test_the_example_of_a_unit_is_the_one_of_the_page():
    """It is shown whole."""
    page = (DOCS / "server-team.md").read_text()
    (shown,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    assert (ROOT / "examples/serve/headrace.service").read_text() == shown
    (command,) = re.findall(r"^ExecStart=\S+ serve (.*)$", shown, re.M)
    from headrace_server.cli import serve

    context = serve.make_context("serve", command.replace("%d", ".").split())
    assert context.params["models"] == ("chat=/srv/models/model.gguf",)


def test_the_file_of_keys_of_the_page_is_one(tmp_path):
    """With the limits that it shows."""
    from headrace_server.access.key_file import keys_of

    (text,) = re.findall(r"```text\n(# KEY.*?)```", (DOCS / "server-team.md").read_text(), re.S)
    (tmp_path / "keys").write_text(text)
    ada, nightly = keys_of(tmp_path / "keys")
    assert (ada.name, ada.max_concurrent) == ("ada", 4)
    assert (nightly.max_concurrent, nightly.requests_per_minute) == (1, 30)


def test_the_container_is_built_of_what_is_there():
    """Folders that exist, and the distributions of this repository."""
    text = (ROOT / "examples/serve/Containerfile").read_text()
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for path in source.split():
            assert (ROOT / path).exists(), path
    (installed,) = re.findall(r"pip install [^\n]*\\\n\s*(.*)$", text, re.M)
    for each in installed.replace('"', "").split():
        assert (ROOT / each.partition("[")[0] / "pyproject.toml").is_file(), each
