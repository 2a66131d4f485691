"""What the entry point names. PyTorch is imported when a model is loaded, not here."""

from collections.abc import Callable

from headrace.protocols import Backend, hookimpl
from headrace_transformers.backend import TransformersBackend


@hookimpl
def headrace_register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend named ``transformers``."""
    register(TransformersBackend())
