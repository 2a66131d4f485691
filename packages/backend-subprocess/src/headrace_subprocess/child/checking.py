"""Looking at a file nobody trusts, in the process that may die of it."""

from __future__ import annotations

import resource

import headrace
from headrace.errors import BackendNotFoundError
from headrace.inspection.check import run_stages
from headrace_subprocess import wire


def check(channel: wire.Channel, backend: str, path: str, cpu_seconds: int) -> None:
    """Run the stages of a check; what comes of each is sent at once.

    Raises:
        BackendNotFoundError: If there is no backend of that name here.
    """
    found = headrace.backends().get(backend)
    if found is None:
        raise BackendNotFoundError(f"there is no backend {backend!r} in the process")
    _allow(cpu_seconds)
    for stage in run_stages(found, path, lambda name: channel.send(("begins", name))):
        channel.send(("stage", stage))


def _allow(seconds: int) -> None:
    """Let this file use so much processor time, whatever those before it have used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))
