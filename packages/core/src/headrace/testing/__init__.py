"""For tests: of backends (the conformance kit) and of programs that use headrace.

``import headrace`` does not import this; it needs ``pip install 'headrace[testing]'``. The
fixtures come with a pytest plugin, see ``headrace.testing.plugin``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.testing.conformance import BackendConformance
    from headrace.testing.kit import Kit, Subject, Violation
    from headrace.testing.report import Outcome, Report, Status
    from headrace.testing.rules import Rule, all_rules
    from headrace.testing.running import check_backend

_HOMES = {
    "BackendConformance": "conformance",
    "Kit": "kit",
    "Outcome": "report",
    "Report": "report",
    "Rule": "rules",
    "Status": "report",
    "Subject": "kit",
    "Violation": "kit",
    "all_rules": "rules",
    "check_backend": "running",
}

__all__ = [
    "BackendConformance",
    "Kit",
    "Outcome",
    "Report",
    "Rule",
    "Status",
    "Subject",
    "Violation",
    "all_rules",
    "check_backend",
]


def __getattr__(name: str) -> Any:
    # Pytest imports this package in every run; most want none of it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
