"""How a server is to behave: frozen values, given once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from headrace.errors import ParamsError
from headrace.params.fields import finite, strict_names

MEGABYTE = 1_000_000
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#]+")


def _positive(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is None and field.metadata.get("optional"):
        return
    real = isinstance(value, (int, float)) and not isinstance(value, bool) and finite(value)
    least = field.metadata.get("least", 0)
    if not real or value < least:
        raise ParamsError(
            f"{type(instance).__name__}.{field.name} must be a number ≥ {least}"
            f"{' or None' if field.metadata.get('optional') else ''}, got {value!r:.60}"
        )


def _number(default: float | None, *, least: float = 0, optional: bool = False) -> Any:
    return attrs.field(
        default=default, validator=_positive, metadata={"least": least, "optional": optional}
    )


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    """One text or several; in lower case, as origins and hosts are compared."""
    return tuple(each.lower() for each in ((value,) if isinstance(value, str) else value))


def _origins(instance: Any, field: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for each in value:
        if each != "*" and not _ORIGIN.fullmatch(each):
            raise ParamsError(
                f"ServerSettings.cors_origins must be origins, got {each!r:.80}",
                hint="An origin is a scheme, a host and maybe a port, and nothing after them: "
                "https://example.org, http://localhost:5173.",
            )


def _hosts(instance: Any, field: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for each in value:
        if not each or re.search(r"[/\s:*]", each):
            raise ParamsError(
                f"ServerSettings.allowed_hosts must be names without a port, got {each!r:.80}",
                hint="As in the address that people type: chat.example.org.",
            )


@strict_names
@attrs.frozen(kw_only=True)
class ApiKey:
    """A key that a client shows, and what it permits.

    Raises:
        ParamsError: For an empty key, or a limit outside its range.
    """

    key: str = attrs.field(repr=False, validator=attrs.validators.instance_of(str))
    """What the client sends as ``Authorization: Bearer …`` or ``X-Api-Key``."""
    name: str = ""
    """What logs and metrics call it; the key itself is never shown."""
    max_concurrent: int | None = _number(None, least=1, optional=True)
    """Requests under way at the same time; None: no limit of its own."""
    requests_per_minute: float | None = _number(None, least=1, optional=True)
    """Requests a minute, in bursts of as many; None: no limit of its own."""

    def __attrs_post_init__(self) -> None:
        if not self.key.strip() or not self.key.isascii() or not self.key.isprintable():
            raise ParamsError(
                f"ApiKey.key must be text of printable ASCII characters, got {len(self.key)} "
                f"characters",
                hint="Such as 32 letters and digits from a password generator.",
            )


def _all_keys(keys: Iterable[ApiKey]) -> tuple[ApiKey, ...]:
    return tuple(keys)


@strict_names
@attrs.frozen(kw_only=True)
class ServerSettings:
    """What ``headrace serve`` takes as options, and ``create_app`` as one value.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    api_keys: tuple[ApiKey, ...] = attrs.field(default=(), converter=_all_keys)
    """Keys, one of which a request must show; none: anyone may ask."""
    cors_origins: tuple[str, ...] = attrs.field(default=(), converter=_texts, validator=_origins)
    """Web sites whose pages may ask, such as ``https://example.org``; none by default. ``*``: all
    of them, for which keys are needed."""
    allowed_hosts: tuple[str, ...] = attrs.field(default=(), converter=_texts, validator=_hosts)
    """Names beside ``localhost`` by which a server without keys that listens on this machine alone
    is asked, such as that of a proxy before it. Requests under other names are refused."""
    max_queue: int = _number(64)
    """Requests for one model that may wait for a sequence; one more is told to come later."""
    request_timeout: float | None = _number(600.0, optional=True)
    """Seconds from a request's arrival to its end; None: as long as it takes."""
    max_body: int = _number(16 * MEGABYTE, least=1)
    """Bytes of a request's body."""
    body_timeout: float = _number(30.0, least=0.1)
    """Seconds within which a body has to arrive."""
    write_timeout: float = _number(60.0, least=0.1)
    """Seconds for which a client may take nothing of its stream before it is cut off."""
    ping_interval: float = _number(10.0, least=0.05)
    """Seconds of silence after which a stream gets a comment, which keeps proxies patient."""
    shutdown_grace: float = _number(30.0)
    """Seconds that streams have to finish once the server is told to end."""
    idle_unload: float | None = _number(None, optional=True)
    """Seconds without a request after which a model leaves memory; None: never."""
    stalled_after: float = _number(60.0, least=0.1)
    """Seconds without a step, while somebody waits for one, after which health says ``stalled``."""
    page: bool = True
    """Whether the chat page is served at ``/``."""
    metrics: bool = False
    """Whether ``/metrics`` is there."""
    tracing: bool = False
    """Whether OpenTelemetry, if it is installed, is told of requests."""
    access_log: bool = True
    """Whether each request is logged, as a line of JSON."""
    log_prompts: bool = False
    """Whether logs may have the text of prompts."""
    state_dir: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    """Folder in which conversations are kept over a restart; None: in memory only."""
    state_bytes: int = _number(4_000 * MEGABYTE)
    """Bytes that conversations of one model may take there; those not used for longest go first."""

    def __attrs_post_init__(self) -> None:
        keys = [each.key for each in self.api_keys]
        names = [each.name for each in self.api_keys if each.name]
        if len(set(keys)) < len(keys) or len(set(names)) < len(names):
            raise ParamsError(
                "ServerSettings.api_keys has the same key or the same name twice",
                hint="Give each client a key of its own, or leave one of them out.",
            )
        if "*" in self.cors_origins and not keys:
            raise ParamsError(
                "ServerSettings.cors_origins '*' lets every web site that a user visits ask, and "
                "there is no key",
                hint="Add a key, or name the sites.",
            )
