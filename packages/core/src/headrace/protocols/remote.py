"""What a backend may offer for other machines: serving this one's memory and devices to them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class ServesDevices(Protocol):
    """A backend whose models can be spread over several machines."""

    def serve_devices(self, host: str, port: int, *, n_threads: int | None) -> None:
        """Serve the devices of this machine, in this thread, until the process ends.

        Args:
            host: Address to listen on.
            port: Its port.
            n_threads: Threads to compute with; None: the physical cores.

        Raises:
            UnsupportedError: If the native library was built without it.
            BackendError: If it cannot, or no longer; the native library writes to stderr why.
        """
        ...
