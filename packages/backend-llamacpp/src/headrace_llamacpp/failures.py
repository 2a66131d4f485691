"""From a report of the shim to a Python error, by way of the table of statuses."""

from __future__ import annotations

from typing import Any

from headrace.errors import DecodeError, HeadraceError
from headrace_llamacpp import logs
from headrace_llamacpp._native import status_name, text
from headrace_llamacpp._statuses import MEANINGS, Meaning, Operation


def meaning_of(status: int) -> Meaning:
    """What a status means."""
    return MEANINGS[status_name(status)]


def error_of(
    report: Any,
    operation: Operation,
    *,
    kind: type[HeadraceError] | None = None,
    message: str | None = None,
    hint: str | None = None,
    status: int | None = None,
) -> HeadraceError:
    """The error that a report stands for.

    Args:
        report: An ``hr_report *`` whose status is not ``HR_OK``.
        operation: What was being done.
        kind: Its class, where the caller knows better than the table.
        message: What to say instead of the table's words.
        hint: What the reader can do.
        status: A status other than the report's own: that of a row.
    """
    own = report.status if status is None else status
    meaning = meaning_of(own)
    native = text(report.message)
    said = message or f"{operation.value} failed: {meaning.message}"
    details: dict[str, Any] = {
        "hint": hint,
        "backend": "llamacpp",
        "native_code": report.native_code or own,
        "native_log": logs.tail(report.call_id),
    }
    error_class = kind or meaning.error_class(operation)
    if issubclass(error_class, DecodeError):
        details["poisoned"] = bool(report.poisoned)
    logs.drain()
    return error_class(f"{said} ({native})" if native else said, **details)


def check(report: Any, operation: Operation) -> None:
    """Raise what a report stands for, unless all is well.

    Raises:
        HeadraceError: Of the class that the table of statuses names.
    """
    if report.status != 0:
        raise error_of(report, operation)
