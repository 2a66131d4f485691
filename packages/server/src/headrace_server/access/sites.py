"""Which web sites may ask.

A browser lets any page send requests to any address, this machine's too; it only keeps the answer
from the page. A server without keys would compute for every site that its user visits. So what a
page of another site sends is refused, unless the site was listed, or a key was shown, which no
other site has. And where a server of this machine is asked under a name that is not this
machine's, the name was made to point here by whoever owns it, and its pages count as this server's
own: that is refused as well (``https://en.wikipedia.org/wiki/DNS_rebinding``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headrace_server.errors import ApiError, openai_body
from headrace_server.settings import ServerSettings

Application = Callable[[Any, Any, Any], Awaitable[None]]
_HARMLESS = ("GET", "HEAD", "OPTIONS")
"""Methods that change and compute nothing."""
_EXPOSED = b"x-request-id, retry-after"
_DAY = b"86400"


class Sites:
    """What stands around an application and looks at where a request comes from.

    Args:
        application: What answers.
        settings: Which sites and names are permitted.
    """

    def __init__(self, application: Application, settings: ServerSettings) -> None:
        self._application = application
        self._has_keys = bool(settings.api_keys)
        self._origins = frozenset(settings.cors_origins)
        self._hosts = frozenset(settings.allowed_hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = _headers(scope["headers"])
        origin = headers.get("origin")
        try:
            self._check(scope, headers, origin)
        except ApiError as error:
            await _refuse(send, error)
            return
        if not self._origins:
            await self._application(scope, receive, send)
            return
        lines = self._lines(origin)
        asks = headers.get("access-control-request-method")
        if scope["method"] == "OPTIONS" and origin is not None and asks is not None:
            await _preflight(send, lines, headers)
            return
        await self._application(scope, receive, _adding(send, lines))

    def _check(self, scope: Any, headers: Mapping[str, str], origin: str | None) -> None:
        if self._has_keys:
            return  # what needs a key is asked for one, and no other site has it
        host = headers.get("host", "")
        if _of_this_machine_alone(scope) and not self._is_named(host):
            raise ApiError(
                403,
                "host_not_allowed",
                f"Host: this server is not called {host!r:.80}; ask it as localhost, or start it "
                f"with --allowed-host {_name(host) or 'NAME'} or with --api-key",
            )
        if origin is None or scope["method"] in _HARMLESS or self._is_listed(origin):
            return
        if _authority(origin) != host.lower():
            raise ApiError(
                403,
                "origin_not_allowed",
                f"Origin: pages of {origin!r:.80} may not ask this server; start it with "
                "--cors-origin ORIGIN for each site that may, or with --api-key",
            )

    def _is_named(self, host: str) -> bool:
        name = _name(host)
        return name in self._hosts or is_loopback(name) or name.endswith(".localhost")

    def _is_listed(self, origin: str | None) -> bool:
        return origin is not None and ("*" in self._origins or origin.lower() in self._origins)

    def _lines(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        """Never with credentials: keys are no cookies, a page has to send them itself."""
        if "*" in self._origins:
            allowed = [(b"access-control-allow-origin", b"*")]
        else:
            allowed = [(b"vary", b"Origin")]
            if origin is not None and self._is_listed(origin):
                allowed.append((b"access-control-allow-origin", origin.encode("latin-1")))
        return [*allowed, (b"access-control-expose-headers", _EXPOSED)]


def is_loopback(name: str) -> bool:
    """Whether a name or an address is this machine's, and reached from nowhere else."""
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def _of_this_machine_alone(scope: Any) -> bool:
    server = scope.get("server")
    return server is not None and server[1] is not None and is_loopback(str(server[0]))


def _headers(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in lines}


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0].strip("[").lower()
    return host.partition(":")[0].lower()


def _authority(origin: str) -> str | None:
    """Host and port of an origin; the scheme may differ behind a proxy that ends TLS."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _adding(send: Any, lines: list[tuple[bytes, bytes]]) -> Any:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *lines]}
        await send(message)

    return sending


async def _preflight(
    send: Any, lines: list[tuple[bytes, bytes]], headers: Mapping[str, str]
) -> None:
    """Answer a browser that asks whether it may send what a page wants to send."""
    asked = headers.get("access-control-request-headers", "").encode("latin-1")
    answer = [
        *lines,
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-allow-headers", asked or b"authorization, content-type"),
        (b"access-control-max-age", _DAY),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": answer})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Any, error: ApiError) -> None:
    body = msgspec.json.encode(openai_body(error))
    lines = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # its body is not read
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
