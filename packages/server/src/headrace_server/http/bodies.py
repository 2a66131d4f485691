"""Reading what a client sends: limits of size and time, JSON into values, errors with fields."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import anyio
import msgspec

from headrace_server.errors import ApiError, GoneError
from headrace_server.settings import ServerSettings

_T = TypeVar("_T")
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")


async def received(
    receive: Callable[[], Awaitable[dict[str, Any]]],
    headers: Mapping[str, str],
    settings: ServerSettings,
) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413 for one that is too large, 408 for one that does not come.
        GoneError: If the client went away meanwhile.
    """
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > settings.max_body:
        raise _too_large(settings)
    parts: list[bytes] = []
    size = 0
    with anyio.move_on_after(settings.body_timeout):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            part = message.get("body", b"")
            size += len(part)
            if size > settings.max_body:
                raise _too_large(settings)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)
    raise ApiError(
        408,
        "request_timeout",
        f"the body did not arrive within {settings.body_timeout:g} seconds; "
        "send it in one piece, or start the server with a larger --body-timeout",
    )


def _too_large(settings: ServerSettings) -> ApiError:
    return ApiError(
        413,
        "body_too_large",
        f"the body has more than {settings.max_body} bytes; send less, or start the server with a "
        "larger --max-body",
    )


def decoded(body: bytes, content_type: str | None, kind: type[_T]) -> _T:
    """A body as a value of a class.

    Raises:
        ApiError: 415 for another content type, 400 for no JSON or a wrong field, which is named.
    """
    media = (content_type or "application/json").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise ApiError(
            415,
            "unsupported_media_type",
            f"Content-Type must be application/json, got {media!r:.60}",
        )
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise wrong_field(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(
            400, "invalid_json", f"the body is no JSON: {error}; send one JSON object in UTF-8"
        ) from None


def wrong_field(message: str, where: str = "") -> ApiError:
    """The error for what msgspec says of a value.

    Args:
        message: What it says, with a place where it has one.
        where: The place of the value in the request; empty: it is the body.
    """
    place = _PLACE.search(message)
    what = message if place is None else message[: place.start()]
    inner = "" if place is None else place[1].removesuffix("[...]")
    missing = _MISSING.search(what)
    if missing is not None:
        inner = f"{inner}.{missing[1]}" if inner else missing[1]
        what = "is missing"
    apart = "." if where and inner and not inner.startswith("[") else ""
    field = f"{where}{apart}{inner}"
    return ApiError(400, "invalid_value", f"{field or 'the body'}: {what}", param=field or None)
