"""The chat page: files that a browser gets at ``/``, held in memory.

``packages/server/web`` has its sources; its build writes into the folder ``page`` beside this
module. The policy that goes with each file permits nothing but the page's own files and this
server: what a model writes can neither run nor call anybody.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import attrs
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

FOLDER = Path(__file__).with_name("page")
"""Where the build puts the page."""

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    # Markup gets into the page through DOMPurify or not at all.
    "require-trusted-types-for": "'script'",
    "trusted-types": "dompurify",
}
SECURITY = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of each of the page's files."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ADVICE = """\
This server answers programs at v1/chat/completions, but its chat page was not built.

To build it, with Node.js 20.19 or newer, in packages/server/web of the sources:

    npm ci
    npm run build

and start the server again. Wheels of headrace-server have the page in them.
"""


@attrs.frozen
class PageFile:
    """A file as it is sent."""

    content: bytes = attrs.field(repr=False)
    zipped: bytes = attrs.field(repr=False)
    content_type: str
    etag: str
    lasting: bool
    """Whether its name changes with its content."""

    @classmethod
    def read(cls, path: Path) -> PageFile:
        """The file at a path."""
        content = path.read_bytes()
        return cls(
            content=content,
            zipped=gzip.compress(content, mtime=0),
            content_type=_TYPES.get(path.suffix, "application/octet-stream"),
            etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            lasting=path.parent.name == "assets",
        )

    def response(self, request: Request) -> Response:
        """What this request gets of it."""
        headers = {
            **SECURITY,
            "cache-control": "public, max-age=31536000, immutable" if self.lasting else "no-cache",
            "etag": self.etag,
            "vary": "accept-encoding",
        }
        if _has(request.headers.get("if-none-match", ""), self.etag):
            return Response(status_code=304, headers=headers)
        body = self.content
        if _has(request.headers.get("accept-encoding", ""), "gzip"):
            body = self.zipped
            headers["content-encoding"] = "gzip"
        return Response(body, media_type=self.content_type, headers=headers)


def _has(header: str, value: str) -> bool:
    """Whether a list in a header has a value, weak or with a quality other than 0."""
    for each in header.split(","):
        name, _, quality = each.strip().removeprefix("W/").partition(";")
        if name.strip() in (value, "*"):
            return quality.strip().replace(" ", "").rstrip("0.") != "q="
    return False


def routes(folder: Path = FOLDER) -> Iterator[Route]:
    """A route for each file of the page; where it was not built, one that says how.

    Args:
        folder: Where the built page is.
    """
    index = folder / "index.html"
    if not index.is_file():
        yield Route("/", _not_built, methods=["GET"])
        return
    yield _route("/", index)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != index:
            yield _route(f"/{path.relative_to(folder).as_posix()}", path)


def _route(url: str, path: Path) -> Route:
    file = PageFile.read(path)

    async def send(request: Request) -> Response:
        return file.response(request)

    return Route(url, send, methods=["GET"], include_in_schema=False)


async def _not_built(request: Request) -> Response:
    return PlainTextResponse(_ADVICE, status_code=404, headers=SECURITY)
