"""Where a server listens: addresses, TLS, and who may reach them without a key."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import attrs

from headrace.errors import ParamsError
from headrace_server.access.sites import is_loopback

_BACKLOG = 2048


@attrs.frozen
class Address:
    """An address of a host, as the system has it."""

    family: socket.AddressFamily
    where: str
    scope: int = 0
    """Of a link-local address."""

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone reaches it."""
        return is_loopback(self.where)


def addresses(host: str) -> tuple[Address, ...]:
    """The addresses of a host's name.

    Raises:
        ParamsError: For a name that has none.
    """
    try:
        if not host.strip():
            raise OSError("it is empty")
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ParamsError(
            f"--host {host!r:.80} is no address of this machine: {error}",
            hint="127.0.0.1 is reached from this machine alone, 0.0.0.0 from everywhere.",
        ) from error
    made = (Address(each[0], str(each[4][0]), _scope(each[4])) for each in found)
    return tuple(dict.fromkeys(made))


def _scope(address: tuple[object, ...]) -> int:
    return int(str(address[3])) if len(address) == 4 else 0


def check_reach(host: str, found: tuple[Address, ...], *, has_keys: bool) -> None:
    """Refuse to be reached by others without a key.

    Raises:
        ParamsError: With what to do.
    """
    if not has_keys and not all(each.is_loopback for each in found):
        raise ParamsError(
            f"--host {host} can be reached from other machines, and there is no key",
            hint="Add --api-key-file FILE or --api-key KEY; or leave --host out, and let a proxy "
            "that asks for passwords reach the server on this machine.",
        )


@contextlib.contextmanager
def bound(host: str, found: tuple[Address, ...], port: int) -> Iterator[list[socket.socket]]:
    """Sockets at all addresses of a host, with the same port; closed at the end.

    Args:
        host: What was asked for, for the error.
        found: Its addresses.
        port: 0: one that is free.

    Raises:
        ParamsError: If one cannot be had.
    """
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for each in found:
            try:
                made = opened.enter_context(_bound(each, port))
            except OSError as error:
                if sockets and each.is_loopback:
                    continue  # localhost has an address that this machine does not
                raise ParamsError(
                    f"cannot listen on --host {host} --port {port}: {error.strerror or error}",
                    hint="Choose another --port, or an address of this machine as --host.",
                ) from error
            sockets.append(made)
            port = made.getsockname()[1]
        yield sockets


def _bound(address: Address, port: int) -> socket.socket:
    made = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address.where, port, 0, address.scope))
        else:
            made.bind((address.where, port))
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Read a certificate and its key as the server will.

    Raises:
        ParamsError: If they cannot be used.
    """
    if certificate is None:
        if key is not None:
            raise ParamsError("--ssl-keyfile needs --ssl-certfile")
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # An empty password: the server would ask for one on a terminal that it may not have.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl's own are among them
        names = f"--ssl-certfile {certificate}" + (f" --ssl-keyfile {key}" if key else "")
        raise ParamsError(
            f"{names} cannot be used: {error.strerror if isinstance(error, OSError) else error}",
            hint="They are PEM files: the certificate with its chain, and its key without a "
            "password, which may stand in the same file.",
        ) from error


def url(scheme: str, host: str, port: int) -> str:
    """How a server is asked that listens there."""
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
