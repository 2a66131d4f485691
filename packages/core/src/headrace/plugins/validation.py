"""Checks that what a plugin registers is what it must be, before anything trusts it.

``isinstance`` against a protocol only sees names; here values are looked at
too, so that a plugin's mistake is told by the plugin's name and not by a
traceback from the middle of a load.
"""

from __future__ import annotations

import re
from typing import Any

from headrace.errors import BackendProtocolError
from headrace.protocols import PROTOCOL_VERSION, Backend
from headrace.protocols.references import Resolver
from headrace.results import Capability

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
SCHEME = re.compile(r"[a-z][a-z0-9+-]+")
"""Two characters at least: ``C:`` is a drive."""


def validate_backend(candidate: object, distribution: str | None = None) -> Backend:
    """Return the object if it keeps the ``Backend`` protocol.

    Args:
        candidate: What was registered or passed.
        distribution: What brought it, for the remedy; None if that is not known.

    Raises:
        BackendProtocolError: Naming the attribute that is missing or wrong.
    """
    _refuse_class(candidate, "a backend")
    label = type(candidate).__qualname__
    _check_version(candidate, label, distribution)
    name = _attribute(candidate, label, "name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BackendProtocolError(
            f"{label}.name must be lower-case letters, digits, '-' and '_', got {name!r}"
        )
    version = _attribute(candidate, label, "version")
    if not isinstance(version, str):
        raise BackendProtocolError(f"{label}.version must be a string, got {version!r}")
    for method in ("can_load", "load", "capabilities"):
        if not callable(_attribute(candidate, label, method)):
            raise BackendProtocolError(f"{label}.{method} must be a method")
    _check_capabilities(candidate, label)
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
            f"got {scheme!r}"
        )
    if not isinstance(_attribute(candidate, label, "description"), str):
        raise BackendProtocolError(f"{label}.description must be a string")
    if not callable(_attribute(candidate, label, "resolve")):
        raise BackendProtocolError(f"{label}.resolve must be a method")
    return candidate  # type: ignore[return-value]  # every member was looked at


def _refuse_class(candidate: object, wanted: str) -> None:
    if isinstance(candidate, type):
        raise BackendProtocolError(
            f"{candidate.__qualname__} is a class, not {wanted}",
            hint=f"Use an object: {candidate.__qualname__}().",
        )


def _attribute(candidate: object, label: str, name: str) -> Any:
    try:
        return getattr(candidate, name)
    except AttributeError as error:
        raise BackendProtocolError(f"{label} has no {name!r}") from error


def _check_version(candidate: object, label: str, distribution: str | None) -> None:
    found = _attribute(candidate, label, "protocol_version")
    if type(found) is not int:
        raise BackendProtocolError(
            f"{label}.protocol_version must be a number, got {found!r}",
            hint="Write down the one it was written for, such as protocol_version = 1.",
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
    found = candidate.capabilities()
    if not isinstance(found, (set, frozenset)) or not all(
        isinstance(each, Capability) for each in found
    ):
        raise BackendProtocolError(
            f"{label}.capabilities() must return a set of Capability, got {found!r}"
        )
