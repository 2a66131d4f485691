"""``headrace rpc-server``: this machine's memory and devices, for a model on another one."""

from __future__ import annotations

import ipaddress
import mmap
import socket
import threading

import click

from headrace.backend.abilities import ServesDevices
from headrace.cli.options import debug_option
from headrace.cli.sizes import number_of_bytes
from headrace.errors import BackendError, BackendNotFoundError, HeadraceError, ParamsError
from headrace.loading.choose import backends, choose_backend

_LEAST = 2**26
"""Bytes of memory with which serving makes sense."""
_WARNING = """\
WARNING: whoever reaches this port can use the memory and the processor of this machine, reads and
changes what others compute here, and can take the process over: the protocol has no password and
no encryption, and its messages are not checked for malice. Use it in a network that you trust
whole, never on the Internet."""


@click.command("rpc-server")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=50052, show_default=True)
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads to compute with.")
@click.option("--memory", metavar="SIZE", help="Most memory (address space) to take, such as 8G.")
@click.option("--allow-network", is_flag=True, help="Listen on an address that others reach.")
@click.option("--backend", metavar="NAME", help="Backend that serves  [default: the one that can].")
@debug_option
def rpc_server(
    host: str,
    port: int,
    threads: int | None,
    memory: str | None,
    allow_network: bool,
    backend: str | None,
) -> None:
    """Serve this machine's memory and devices to ModelParams(rpc_servers=...) of others.

    Ends with Ctrl-C. Only this machine reaches it unless --host names another address.
    """
    if not _is_loopback(host):
        click.secho(_WARNING, fg="yellow", err=True)
        if not allow_network:
            raise ParamsError(
                f"--host {host} can be reached from other machines",
                hint="Add --allow-network if you trust every machine that reaches it.",
            )
    serving = _serving(backend)
    _check_free(host, port)
    if memory is not None:
        _limit_memory(number_of_bytes("--memory", memory))
    _serve(serving, host, port, threads)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _serving(name: str | None) -> ServesDevices:
    candidates = backends().values() if name is None else [choose_backend(name, "")]
    for each in candidates:
        if isinstance(each, ServesDevices):
            return each
    raise BackendNotFoundError(
        "no installed backend serves devices to other machines"
        if name is None
        else f"the backend {name!r} does not serve devices to other machines",
        hint="headrace-llamacpp does.",
    )


def _check_free(host: str, port: int) -> None:
    """Say what is wrong with an address; the native library only says that something is."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        raise ParamsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="Choose another --port, or an IPv4 address of this machine as --host.",
        ) from error


def _limit_memory(n_bytes: int) -> None:
    import resource  # POSIX only, as the limit is

    least = _in_use() + _LEAST
    if n_bytes < least:
        raise ParamsError(
            f"--memory must be at least {least // 2**20 + 1} MiB here, got {n_bytes} bytes",
            hint="It is address space, of which the program itself has a part already.",
        )
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def _in_use() -> int:
    """Bytes of address space that this process has, where the system tells."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * mmap.PAGESIZE
    except OSError:
        return 0


def _serve(serving: ServesDevices, host: str, port: int, threads: int | None) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            serving.serve_devices(host, port, n_threads=threads)
        except BaseException as error:
            failures.append(error)

    # A thread of its own: native code does not look for Ctrl-C, the main thread does.
    server = threading.Thread(target=run, daemon=True)
    server.start()
    while server.is_alive() and not _answers(host, port):
        server.join(0.05)
    if server.is_alive():
        click.echo(f"Serving on {host}:{port}. Ctrl-C ends it.")
    server.join()
    failure = failures[0] if failures else BackendError("the server ended")
    if isinstance(failure, HeadraceError):
        raise failure
    raise BackendError(f"the server ended: {failure}") from failure


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
