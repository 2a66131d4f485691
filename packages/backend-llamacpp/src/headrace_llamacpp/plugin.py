"""What the entry point names: registers the backend, imports nothing native."""

from collections.abc import Callable

from headrace.plugins import hookimpl
from headrace.protocols import Backend
from headrace_llamacpp.backend import LlamaCppBackend


@hookimpl
def headrace_register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend named ``llamacpp``."""
    register(LlamaCppBackend())
