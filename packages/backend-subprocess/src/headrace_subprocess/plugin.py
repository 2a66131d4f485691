"""What the entry point names: registers the host."""

from collections.abc import Callable

from headrace.protocols import Host, hookimpl
from headrace_subprocess.host import ProcessHost


@hookimpl
def headrace_register_hosts(register: Callable[[Host], None]) -> None:
    """Register the host named ``process``."""
    register(ProcessHost())
