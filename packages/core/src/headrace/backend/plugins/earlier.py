"""Plugins that were written for version 1 of the protocols, and cannot be imported any more."""

from __future__ import annotations

import re

from headrace.backend.backend import PROTOCOL_VERSION
from headrace.common.quotes import told
from headrace.errors import BackendUnavailableError

_MODULES = ("headrace.bases.", "headrace.plugins.", "headrace.serial.", "headrace.protocols.")
"""Modules that version 1 had, and this one has not."""
_NAMES = frozenset({"ModelBase", "SessionBase", "IsolatingBackend", "Isolating"})
_MISSING_NAME = re.compile(r"cannot import name '(\w+)'")


def is_of_version_1(error: ImportError) -> bool:
    """Whether what cannot be imported is something that version 1 had."""
    module = error.name or ""
    if isinstance(error, ModuleNotFoundError):
        return f"{module}.".startswith(_MODULES)
    name = _MISSING_NAME.search(str(error))
    return name is not None and name[1] in _NAMES and f"{module}.".startswith("headrace.")


def told_to_upgrade(
    plugin: str, distribution: str | None, error: ImportError
) -> BackendUnavailableError:
    """What the quarantine says of such a plugin, to its user and to its author."""
    return BackendUnavailableError(
        f"plugin {plugin!r} was written for protocol version 1, "
        f"this headrace speaks version {PROTOCOL_VERSION}: {told(error)}",
        hint=f"Upgrade it: pip install --upgrade {distribution or 'its distribution'}; "
        "docs/from-1-to-2.md tells its author what to change.",
    )
