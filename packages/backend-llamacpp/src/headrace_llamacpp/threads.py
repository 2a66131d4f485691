"""How many threads to compute with, unless the caller says."""

from __future__ import annotations

import os
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def default_threads() -> int:
    """The physical cores that this process may use: two threads on one core gain nothing."""
    count = _allowed_cores()
    limit = _quota()
    return max(1, min(count, limit) if limit else count)


def _allowed_cores() -> int:
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    cores = {_siblings(cpu) for cpu in allowed}
    return len(cores)


def _siblings(cpu: int) -> str:
    """What identifies the core of a logical CPU: the list of its threads."""
    try:
        path = _CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    """CPUs that a container's quota amounts to, rounded up; None if there is none."""
    try:
        quota, period = _CGROUP_LIMIT.read_text(encoding="ascii").split()
        return None if quota == "max" else -(-int(quota) // int(period))
    except (OSError, ValueError):
        return None
