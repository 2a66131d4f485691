"""What the entry point names: registers the fake like any other backend."""

from collections.abc import Callable

from headrace.protocols import Backend, hookimpl
from headrace_fake.backend import FakeBackend


@hookimpl
def headrace_register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend named ``fake``."""
    register(FakeBackend())
