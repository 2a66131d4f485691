"""What the distribution brings to headrace: the command ``headrace serve``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.protocols import Command, hookimpl


def _serve() -> Any:
    from headrace_server.cli import serve

    return serve


@hookimpl
def headrace_register_commands(register: Callable[[Command], None]) -> None:
    """``headrace serve``."""
    register(Command("serve", "Serve MODEL to OpenAI's and other clients, with a page.", _serve))
