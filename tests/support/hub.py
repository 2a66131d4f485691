"""A stand-in for a Hugging Face hub on 127.0.0.1: the few answers that a download needs."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@attrs.define
class Hub:
    """What it has, what it should do wrong, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = attrs.field(factory=dict)
    """Content by ``ORG/REPO/FILE``."""
    private: set[str] = attrs.field(factory=set)
    """Repositories that need the token."""
    gated: set[str] = attrs.field(factory=set)
    """Repositories that need permission."""
    commit: str = COMMIT
    etag: str | None = None
    """Announced instead of the content's digest."""
    cut_after: int | None = None
    """Bytes after which the next answer breaks off, once."""
    ignores_range: bool = False
    down: int | None = None
    """Status that everything is answered with."""
    storage: bool = False
    """Whether the content is at another host, to which is redirected."""
    seen_by_storage: list[str | None] = attrs.field(factory=list)
    """Authorization of the requests there."""
    requests: list[tuple[str, str | None]] = attrs.field(factory=list)
    """Method, and the range asked for."""

    @property
    def ranges(self) -> list[str | None]:
        """What the downloads asked for."""
        return [wanted for method, wanted in self.requests if method == "GET"]


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    """Serve until the end of the block."""
    hub = Hub()

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Hub

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub = self.served
        wanted = self.headers.get("Range")
        hub.requests.append((self.command, wanted))
        path = self.path
        if path.startswith("/storage/"):
            hub.seen_by_storage.append(self.headers.get("Authorization"))
            self._send(200, {}, hub.files[path.removeprefix("/storage/")], with_body=with_body)
            return
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path.split("?")[0])
        refused = self._refusal(match)
        if refused is not None:
            self._send(refused[0], {"X-Error-Code": refused[1]}, b"")
            return
        assert match is not None
        data = hub.files[f"{match[1]}/{match[3]}"]
        if hub.storage:
            port = hub.url.rpartition(":")[2]
            headers = {
                "X-Repo-Commit": hub.commit,
                "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
                "X-Linked-Size": str(len(data)),
                "Location": f"http://localhost:{port}/storage/{match[1]}/{match[3]}",
            }
            self._send(302, headers, b"")
            return
        headers = {
            "X-Repo-Commit": hub.commit,
            "ETag": f'"{hub.etag or hashlib.sha256(data).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        status = 200
        if wanted is not None and not hub.ignores_range:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            status, data = 206, data[start:]
        self._send(status, headers, data, with_body=with_body)

    def _refusal(self, match: re.Match[str] | None) -> tuple[int, str] | None:
        hub = self.served
        if hub.down is not None:
            return hub.down, "Down"
        repositories = {"/".join(name.split("/")[:2]) for name in hub.files}
        if match is None or match[1] not in repositories:
            return 404, "RepoNotFound"
        if match[1] in hub.gated:
            return 403, "GatedRepo"
        if match[1] in hub.private and self.headers.get("Authorization") != "Bearer hf_secret":
            return 401, "RepoNotFound"
        if match[2] not in ("main", "v2", hub.commit):
            return 404, "RevisionNotFound"
        if f"{match[1]}/{match[3]}" not in hub.files:
            return 404, "EntryNotFound"
        return None

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, *, with_body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not with_body:
            return
        cut, self.served.cut_after = self.served.cut_after, None
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if cut is not None:
            self.close_connection = True
