"""What the entry point names: registers the backend like any other."""

from collections.abc import Callable

from headrace.protocols import Backend, hookimpl
from headrace_subprocess.backend import SubprocessBackend


@hookimpl
def headrace_register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend named ``subprocess``."""
    register(SubprocessBackend())
