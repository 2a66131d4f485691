"""The page's files: types, caching, policy, and what is said where it was not built."""

from __future__ import annotations

import contextlib
import gzip

import httpx
import pytest
from starlette.applications import Starlette

from headrace_server import create_app, page

HTML = b"<!doctype html><title>headrace</title>" + b" " * 500


@pytest.fixture
def folder(tmp_path):
    """A built page."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(HTML)
    (tmp_path / "assets" / "index-abc.js").write_bytes(b"export {};")
    (tmp_path / "assets" / "index-abc.css").write_bytes(b"body {}")
    (tmp_path / "icon.svg").write_bytes(b"<svg/>")
    (tmp_path / "licenses.md").write_bytes("# Licences ©".encode())
    return tmp_path


@contextlib.asynccontextmanager
async def client_of(app):
    """Asks an application without a network."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        yield client


@pytest.fixture
def anyio_backend():
    """What the server runs on."""
    return "asyncio"


def built(folder) -> Starlette:
    """An application of nothing but the page."""
    return Starlette(routes=list(page.routes(folder)))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/assets/index-abc.js", "text/javascript; charset=utf-8"),
        ("/assets/index-abc.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/licenses.md", "text/plain; charset=utf-8"),
    ],
)
async def test_files_have_their_types_and_the_policy(folder, path, kind):
    """Each one, scripts included, since a picture may be opened by itself."""
    async with client_of(built(folder)) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = dict(
        each.strip().split(" ", 1) for each in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.anyio
async def test_named_by_content_lasts_and_the_index_is_asked_for_each_time(folder):
    """An update of the server is seen at the next visit, and costs nothing until then."""
    async with client_of(built(folder)) as client:
        script = await client.get("/assets/index-abc.js")
        index = await client.get("/")
        icon = await client.get("/icon.svg")
    assert "immutable" in script.headers["cache-control"]
    assert index.headers["cache-control"] == icon.headers["cache-control"] == "no-cache"


@pytest.mark.anyio
async def test_a_known_file_is_not_sent_again(folder):
    """Its tag is compared, weak or one of several."""
    async with client_of(built(folder)) as client:
        etag = (await client.get("/")).headers["etag"]
        for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await client.get("/", headers={"if-none-match": header})
            assert again.status_code == 304
            assert again.content == b""
            assert again.headers["etag"] == etag
        assert (await client.get("/", headers={"if-none-match": '"other"'})).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("identity", False),
        ("", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
    ],
)
async def test_it_is_compressed_for_who_can_read_that(folder, accepted, zipped):
    """And the cache on the way is told that it depends."""
    async with (
        client_of(built(folder)) as client,
        client.stream("GET", "/", headers={"accept-encoding": accepted}) as answer,
    ):
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == ("gzip" if zipped else None)
    assert answer.headers["vary"] == "accept-encoding"
    assert (gzip.decompress(raw) if zipped else raw) == HTML
    assert int(answer.headers["content-length"]) == len(raw)


@pytest.mark.anyio
async def test_nothing_beside_the_page_is_served(folder):
    """A path that climbs out of the folder is no file of it."""
    (folder.parent / "secret.txt").write_text("secret")
    async with client_of(built(folder)) as client:
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/x"):
            assert (await client.get(path)).status_code == 404


@pytest.mark.anyio
async def test_a_page_that_was_not_built_says_how(tmp_path):
    """The server runs without it."""
    async with client_of(built(tmp_path)) as client:
        answer = await client.get("/")
    assert answer.status_code == 404
    assert "npm run build" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.anyio
async def test_the_page_can_be_left_out():
    """``page=False`` leaves nothing at ``/``, not even the advice."""
    async with client_of(create_app("fake:", page=False)) as client:
        answer = await client.get("/")
    assert answer.status_code == 404
    assert "npm" not in answer.text


@pytest.mark.anyio
async def test_the_page_is_there_by_default():
    """Or at least the advice."""
    async with client_of(create_app("fake:")) as client:
        answer = await client.get("/")
    assert answer.headers["x-content-type-options"] == "nosniff"
