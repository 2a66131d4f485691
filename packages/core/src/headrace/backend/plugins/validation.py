"""Checks that what a plugin registers is what it must be, before anything trusts it.

``isinstance`` against a protocol only sees names; here values are looked at
too, so that a plugin's mistake is told by the plugin's name and not by a
traceback from the middle of a load.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.backend.backend import PROTOCOL_VERSION, Backend
from headrace.backend.host import Host
from headrace.backend.resolver import Resolver
from headrace.common.quotes import shown, told
from headrace.common.seam import is_callers
from headrace.errors import BackendProtocolError
from headrace.results import Capability

if TYPE_CHECKING:
    from headrace.backend.commands import Command

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
SCHEME = re.compile(r"[a-z][a-z0-9+-]+")
"""Two characters at least: ``C:`` is a drive."""
_ABSENT = object()


def validate_backend(candidate: object, distribution: str | None = None) -> Backend:
    """Return the object if it keeps the ``Backend`` protocol.

    Args:
        candidate: What was registered or passed.
        distribution: What brought it, for the remedy; None if that is not known.

    Raises:
        BackendProtocolError: Naming the attribute that is missing or wrong.
    """
    label = _named_and_versioned(candidate, "a backend", distribution)
    for method in ("can_load", "load", "capabilities"):
        _method(candidate, label, method)
    _check_capabilities(candidate, label)
    return candidate  # type: ignore[return-value]  # every member was looked at


def validate_host(candidate: object, distribution: str | None = None) -> Host:
    """Return the object if it keeps the ``Host`` protocol.

    Args:
        candidate: What was registered.
        distribution: What brought it, for the remedy; None if that is not known.

    Raises:
        BackendProtocolError: Naming the attribute that is missing or wrong.
    """
    label = _named_and_versioned(candidate, "a host", distribution)
    _method(candidate, label, "load")
    return candidate  # type: ignore[return-value]  # every member was looked at


def validate_resolver(candidate: object) -> Resolver:
    """Return the object if it keeps the ``Resolver`` protocol.

    Raises:
        BackendProtocolError: Naming the attribute that is missing or wrong.
    """
    _refuse_class(candidate, "a resolver")
    label = type(candidate).__qualname__
    scheme = _attribute(candidate, label, "scheme")
    if not isinstance(scheme, str) or not SCHEME.fullmatch(scheme):
        raise BackendProtocolError(
            f"{label}.scheme must be two or more lower-case letters, digits, '+' and '-', "
            f"got {shown(scheme)}"
        )
    if not isinstance(_attribute(candidate, label, "description"), str):
        raise BackendProtocolError(f"{label}.description must be a string")
    _method(candidate, label, "resolve")
    return candidate  # type: ignore[return-value]  # every member was looked at


def validate_command(candidate: object) -> Command:
    """Return the object if it is a command that ``headrace`` can have.

    Raises:
        BackendProtocolError: Naming what is missing or wrong, or for a name of headrace's own.
    """
    from headrace.backend.commands import OWN, Command  # which few programs ask for

    if not isinstance(candidate, Command):
        raise BackendProtocolError(
            f"a command must be a headrace.protocols.Command, got {shown(candidate)}",
            hint="Such as Command('mine', 'Do what is mine.', load).",
        )
    name: object = candidate.name
    sentence: object = candidate.sentence
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BackendProtocolError(
            f"Command.name must be lower-case letters, digits, '-' and '_', got {shown(name)}"
        )
    if name in OWN:
        raise BackendProtocolError(
            f"the command {name!r} is one of headrace's own, which no plugin replaces",
            hint="Its author gives it another name.",
        )
    if not isinstance(sentence, str) or not sentence.strip() or not sentence.isprintable():
        raise BackendProtocolError(
            f"Command.sentence of {name!r} must be one line of text, got {shown(sentence)}"
        )
    _method(candidate, f"Command {name!r}", "load")
    return candidate


def _named_and_versioned(candidate: object, wanted: str, distribution: str | None) -> str:
    """Check what backends and hosts say of themselves; what the object is called in messages."""
    _refuse_class(candidate, wanted)
    label = type(candidate).__qualname__
    _check_version(candidate, label, distribution)
    name = _attribute(candidate, label, "name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BackendProtocolError(
            f"{label}.name must be lower-case letters, digits, '-' and '_', got {shown(name)}"
        )
    version = _attribute(candidate, label, "version")
    if not isinstance(version, str):
        raise BackendProtocolError(f"{label}.version must be a string, got {shown(version)}")
    return label


def _refuse_class(candidate: object, wanted: str) -> None:
    if isinstance(candidate, type):
        raise BackendProtocolError(
            f"{candidate.__qualname__} is a class, not {wanted}",
            hint=f"Use an object: {candidate.__qualname__}().",
        )


def _attribute(candidate: object, label: str, name: str) -> Any:
    found = _asked(f"{label}.{name}", lambda: getattr(candidate, name, _ABSENT))
    if found is _ABSENT:
        raise BackendProtocolError(f"{label} has no {name!r}")
    return found


def _method(candidate: object, label: str, name: str) -> None:
    found = _attribute(candidate, label, name)
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise BackendProtocolError(f"{label}.{name} must be a method, and no coroutine")


def _asked(what: str, question: Callable[[], Any]) -> Any:
    """What an object answers; what it raises instead, with its name."""
    try:
        return question()
    except BaseException as error:
        if is_callers(error):
            raise
        raise BackendProtocolError(f"{what} raises {told(error)}") from error


def _check_version(candidate: object, label: str, distribution: str | None) -> None:
    found = _attribute(candidate, label, "protocol_version")
    if type(found) is not int:
        raise BackendProtocolError(
            f"{label}.protocol_version must be a number, got {shown(found)}",
            hint="Write down the one it was written for, such as protocol_version = 2.",
        )
    if found == PROTOCOL_VERSION:
        return
    upgrade = f"Upgrade it: pip install --upgrade {distribution or 'its distribution'}"
    raise BackendProtocolError(
        f"{label} was written for protocol version {found}, "
        f"this headrace speaks version {PROTOCOL_VERSION}",
        hint=f"{upgrade}; or install the headrace that it was written for."
        if found < PROTOCOL_VERSION
        else "Upgrade headrace: pip install --upgrade headrace.",
    )


def _check_capabilities(candidate: Any, label: str) -> None:
    found = _asked(f"{label}.capabilities()", candidate.capabilities)
    if not isinstance(found, (set, frozenset)) or not all(
        isinstance(each, Capability) for each in found
    ):
        raise BackendProtocolError(
            f"{label}.capabilities() must return a set of Capability, got {shown(found)}"
        )
