"""What the entry point names: registers the backend, imports nothing native."""

from collections.abc import Callable

from headrace.protocols import Backend, hookimpl
from headrace_llamacpp.backend import LlamaCppBackend


@hookimpl
def headrace_register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend named ``llamacpp``."""
    register(LlamaCppBackend())
