"""Other machines' memory and devices, over ggml's RPC.

A server that is lost while it is used ends this process from one of ggml's own threads, which is
why ``ModelParams`` asks for one that may end. What can be said before is said here.
"""

from __future__ import annotations

import socket
import threading

from headrace.errors import ModelLoadError, UnsupportedError
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check, error_of
from headrace_llamacpp.threads import default_threads

_PATIENCE = 10.0
"""Seconds for a server to be reached."""
_added: set[str] = set()
_adding = threading.Lock()


def add_servers(addresses: tuple[str, ...]) -> None:
    """Make the devices of servers devices of this process, once.

    Raises:
        UnsupportedError: If llama.cpp was built without RPC.
        ModelLoadError: If a server cannot be reached, or is no such server.
    """
    if addresses:
        _check_available()
    with _adding:
        for each in addresses:
            if each not in _added:
                _check_reachable(each)
                _add(each)
                _added.add(each)


def _add(address: str) -> None:
    report = new_report()
    if lib.hr_rpc_add_server(address.encode(), ffi.new("int32_t *"), report) == lib.HR_OK:
        return
    if report.status == lib.HR_NATIVE_ABORT:
        raise error_of(
            report,
            Operation.REMOTE,
            message=f"what listens at {address} (ModelParams.rpc_servers) is no RPC server of this "
            "version",
            hint="Start it with the headrace rpc-server of the same headrace-llamacpp-ffi.",
        )
    check(report, Operation.REMOTE)


def _check_reachable(address: str) -> None:
    """Ggml would fail an assertion."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except OSError as error:
        raise ModelLoadError(
            f"no RPC server can be reached at {address} (ModelParams.rpc_servers): {error}",
            hint="Start it there: headrace rpc-server --host … --port …",
            backend="llamacpp",
        ) from error


def serve(host: str, port: int, n_threads: int | None) -> None:
    """Serve this machine's devices until the process ends.

    Raises:
        UnsupportedError: If llama.cpp was built without RPC.
        BackendError: If it cannot, or no longer.
    """
    _check_available()
    report = new_report()
    lib.hr_rpc_serve(f"{host}:{port}".encode(), n_threads or default_threads(), report)
    check(report, Operation.REMOTE)


def _check_available() -> None:
    if not lib.hr_rpc_available():
        raise UnsupportedError(
            "this llama.cpp has no RPC (ModelParams.rpc_servers, headrace rpc-server)",
            hint="Build llama.cpp with -DGGML_RPC=ON, or install the wheel of "
            "headrace-llamacpp-ffi.",
            backend="llamacpp",
        )
