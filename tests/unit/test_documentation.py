"""What the README and the pages of the documentation show runs, and leads somewhere."""

from __future__ import annotations

import re
import shlex
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import anyio
import click
import pytest

import headrace
import headrace.errors
from headrace.cli.app import app
from headrace.testing import Status, Subject, check_backend

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
SERVED = ("server.md", "server-clients.md")
"""Pages whose blocks need a server or its distribution; ``tests/server`` runs them."""
PICTURES = sorted(DOCS.rglob("*.svg"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)#]*)#?([^)]*)\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")


def ids(path):
    """How a file is called in the report."""
    return str(path.relative_to(ROOT))


def run(page):
    """The Python of a page, as one program, on the fake backend where it names a file."""
    program = "\n".join(BLOCK.findall(page.read_text()))
    program = program.replace('"model.gguf"', '"fake:Paris."')
    names = {"__name__": "example"}
    exec(compile(program, str(page), "exec"), names)
    return names


def anchors(page):
    """What GitHub and the site make of the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each).strip().lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", [each for each in PAGES if each.name not in SERVED], ids=ids)
def test_the_python_blocks_of_a_page_run_in_order(page, capsys):
    """As a reader would type them."""
    run(page)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_the_links_of_a_page_lead_somewhere(page):
    """To files that exist, and to headings of them."""
    for target, anchor in LINK.findall(page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), f"{target}#{anchor}"


def commands(page):
    """The arguments of each call of the command line that a page shows."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^\$ (.*)$", "\n".join(blocks), re.MULTILINE):
        for words in re.split(r" \| ", line):
            found = shlex.split(re.sub(r"[<>].*", "", words))
            if Path(found[0]).name == "headrace":
                yield found[1:]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_the_commands_of_a_page_are_understood(page):
    """Their names and options exist; nothing is run."""
    for arguments in commands(page):
        command, context = app, app.make_context("headrace", [], resilient_parsing=True)
        if arguments[0] == "serve" and command.get_command(context, "serve") is None:
            continue  # of a distribution that is not installed here
        while isinstance(command, click.Group):
            command = command.get_command(context, arguments.pop(0))
        command.make_context(command.name, arguments, parent=context)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=ids)
def test_a_page_has_its_place_in_the_site(page):
    """In the order that mkdocs.yml gives."""
    order = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2].split()
    assert order.count(page.relative_to(DOCS).as_posix()) == 1


def test_every_command_is_in_the_list():
    """Of the page on the command line."""
    text = (DOCS / "commands.md").read_text()
    for name in app.commands:
        assert f"`headrace {name}" in text, name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_a_picture_is_there_and_told_in_words(page):
    """For who cannot see it."""
    for words, target in PICTURE.findall(page.read_text()):
        assert (page.parent / target).exists(), target
        assert len(words) > 20, f"{target} needs a text that tells what it shows"


@pytest.mark.parametrize("picture", PICTURES, ids=ids)
def test_a_picture_stands_alone(picture):
    """It has a title and a description, and fetches and runs nothing."""
    root = ElementTree.parse(picture).getroot()
    names = {each.tag.rpartition("}")[2] for each in root.iter()}
    assert {"title", "desc"} <= names
    assert not names & {"script", "image", "use", "style", "foreignObject"}
    assert not re.search(r"href|url\((?!#)", picture.read_text())


def test_the_words_that_are_drawn_name_every_error():
    """The tree on the page of errors."""
    drawn = (DOCS / "pictures" / "errors.svg").read_text()
    for name, value in vars(headrace.errors).items():
        if isinstance(value, type) and issubclass(value, headrace.HeadraceError):
            assert f">{name}</text>" in drawn, name


def test_the_web_handler_of_the_guide_serves(capsys):
    """From the server's start to its end, as an ASGI server calls it."""
    names = run(DOCS / "async.md")
    sent = []

    async def serve():
        to_app, messages = anyio.create_memory_object_stream(2)

        async def send(message):
            sent.append(message)
            if message["type"] == "lifespan.startup.complete":
                scope = {"type": "http", "query_string": b"What+is+it"}
                await names["app"](scope, anyio.sleep_forever, send)
                await to_app.send({"type": "lifespan.shutdown"})

        with to_app, messages:
            await to_app.send({"type": "lifespan.startup"})
            await names["app"]({"type": "lifespan"}, messages.receive, send)

    anyio.run(serve)
    assert b"".join(each.get("body", b"") for each in sent) == b"Paris."
    assert sent[-1]["type"] == "lifespan.shutdown.complete"
    with pytest.raises(headrace.ClosedError):
        names["MODEL"].open_session()


def test_a_client_that_goes_away_ends_its_generation(capsys):
    """While the handler waits for it."""
    names = run(DOCS / "async.md")
    sent = []

    async def serve():
        first = anyio.Event()

        async def receive():
            await first.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if message.get("body"):
                first.set()
                await anyio.sleep_forever()

        async with await headrace.aload_model("fake:#mean_length=0") as names["MODEL"]:
            await names["app"]({"type": "http", "query_string": b""}, receive, send)
            assert names["MODEL"].memory_usage().cells == 0, "its session was not closed"

    anyio.run(serve)
    assert [len(each.get("body", b"")) for each in sent] == [0, 1]


@pytest.mark.parametrize(
    "name",
    [
        "test_a_summary_is_what_the_model_says",
        "test_a_failure_is_told",
        "test_what_was_read_is_kept_after_a_cancel",
    ],
)
def test_the_tests_of_the_guide_pass(name, fake_model):
    """With the fixture that they name."""
    run(DOCS / "testing.md")[name](fake_model)


def test_the_backend_of_the_guide_keeps_every_rule():
    """As the guide says."""
    subject = run(DOCS / "backends.md")["TestFollower"].subject()
    report = check_backend(subject)
    assert [each.rule.id for each in report.outcomes if each.status is Status.FAILED] == []
    assert len([each for each in report.outcomes if each.status is Status.PASSED]) > 70


def test_the_service_of_the_guide_keeps_every_rule():
    """On the base, which is all it has."""
    names = run(DOCS / "backends.md")

    class Backend(names["FollowerBackend"]):
        name = "words"

        def can_load(self, reference):
            return reference.startswith("words:")

        def capabilities(self):
            return frozenset({headrace.Capability.GENERATE})

        def load(self, request):
            if not self.can_load(request.reference):
                raise headrace.ModelNotFoundError(f"there is no {request.reference!r}")
            return names["WordsModel"]()

    report = check_backend(Subject(backend=Backend(), model="words:", examples=5))
    assert [each.rule.id for each in report.outcomes if each.status is Status.FAILED] == []
