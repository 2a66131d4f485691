"""What the entry point names: registers the fake like any other backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from headrace.protocols import hookimpl
from headrace_fake.backend import FakeBackend

if TYPE_CHECKING:
    from headrace.protocols import Backend


@hookimpl
def headrace_register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend named ``fake``."""
    register(FakeBackend())
