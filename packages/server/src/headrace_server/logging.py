"""Logs as lines of JSON on stderr, one for each request and one for whatever goes wrong."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone
from typing import Any

import attrs
import msgspec

from headrace_server.http.record import Record

_LOGGERS = ("headrace_server", "uvicorn")


class JsonLines(logging.Formatter):
    """A record of a log as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        request = getattr(record, "record", None)
        if isinstance(request, Record):
            line.update(_fields(request))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _fields(request: Record) -> dict[str, Any]:
    """What is known of a request: text and numbers; not what metrics alone are made of."""
    found: dict[str, Any] = {}
    for field in attrs.fields(Record):
        value = getattr(request, field.name)
        if isinstance(value, float):
            found[field.name] = round(value, 6)
        elif isinstance(value, (str, int)) and not field.name.startswith("_"):
            found[field.name] = value
    return found


def set_up() -> None:
    """Write what the server and what is below it log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("headrace_server").setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
