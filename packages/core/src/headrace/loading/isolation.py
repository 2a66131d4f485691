"""The hosts, which load with a backend elsewhere: in a process of its own."""

from __future__ import annotations

from headrace.backend.abilities import Checker, HostsChecks
from headrace.backend.backend import Backend
from headrace.backend.host import Host
from headrace.common.quotes import shown
from headrace.common.seam import Seam
from headrace.errors import BackendNotFoundError
from headrace.loading.choose import installed, look
from headrace.results.check import CheckLimits

PROCESS = "process"
"""The host that ``ModelParams.isolation`` and ``check_model`` mean."""


def host_for(needed_by: str) -> Host:
    """The host that gives a backend a process of its own.

    Args:
        needed_by: What cannot do without it, for the message.

    Raises:
        BackendNotFoundError: If there is none.
    """
    # One may have been installed since the last look.
    found = look().host(PROCESS) or look(refresh=True).host(PROCESS)
    if found is None:
        raise _missing(needed_by)
    return found


def open_checker(backend: Backend, limits: CheckLimits) -> Checker:
    """A checker that looks at many files in a row, in a process of its own; close it.

    Raises:
        BackendNotFoundError: If there is no host that checks files.
        BackendProtocolError: If the host gives something else.
    """
    host = host_for("check_model")
    if not isinstance(host, HostsChecks):
        raise _missing("check_model")
    seam = Seam(host.name, noun="host")
    with seam.during("open_checker"):
        checker = host.open_checker(backend, limits)
    if not isinstance(checker, Checker):
        raise seam.breach("open_checker", f"{shown(checker)} instead of a Checker")
    return checker


def _missing(needed_by: str) -> BackendNotFoundError:
    return BackendNotFoundError(
        f"{needed_by} needs a host named {PROCESS!r}, which gives a backend a process of its own "
        f"({installed(look())})",
        hint="Install it: pip install headrace-subprocess",
    )
