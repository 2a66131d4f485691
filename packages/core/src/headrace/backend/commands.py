"""Commands of the command line that plugins bring.

A plugin says what its command is called and how it is listed, and hands over a function that makes
it: whoever asks ``headrace --help`` pays for no command's imports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

OWN = frozenset(
    {
        "backends",
        "bench",
        "chat",
        "check",
        "conformance",
        "demo",
        "devices",
        "doctor",
        "embed",
        "fetch",
        "gguf",
        "info",
        "new-backend",
        "quantize",
        "rerank",
        "rpc-server",
        "run",
        "score",
        "tokenize",
    }
)
"""What headrace's own are called; no plugin's takes one of these names."""


@attrs.frozen
class Command:
    """A command that a plugin brings, as ``headrace NAME``."""

    name: str
    """What is typed: lower-case letters, digits, ``-`` and ``_``; none of headrace's own."""
    sentence: str
    """What it is listed with: the first sentence of its help."""
    load: Callable[[], Any]
    """Imports it when it is run or asked for its help; returns a ``click.Command``."""
