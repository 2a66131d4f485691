"""How many threads to compute with, unless the caller says."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from headrace.params import EngineParams
from headrace_llamacpp._native import lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check
from headrace_llamacpp.handles import Handle

_ROOT = Path("/")
_FIRST_MOUNTS = ("sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/cpu", "sys/fs/cgroup/cpuacct,cpu")
_SECOND_MOUNTS = ("sys/fs/cgroup", "sys/fs/cgroup/unified")


def adapts(params: EngineParams) -> bool:
    """Whether the number of threads is found out while they compute: nobody said one."""
    return params.n_threads is None and params.n_threads_batch is None and default_threads() > 1


def adapt_threads(context: Handle, params: EngineParams) -> None:
    """Have a context find it out, if it is to."""
    if adapts(params):
        report = new_report()
        lib.hr_adapt_threads(context.pointer, report)
        check(report, Operation.OPEN)


def default_threads(root: Path = _ROOT) -> int:
    """The physical cores that this process may use: two threads on one core gain nothing.

    What it may use is told by its affinity and by the quotas of its control groups, the part of a
    core counting as one. ``root`` is where ``proc`` and ``sys`` are looked for.
    """
    quota = min(_quotas(root), default=math.inf)
    return max(1, math.ceil(min(_allowed_cores(root), quota)))


def _allowed_cores(root: Path) -> int:
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len({_siblings(root, cpu) for cpu in os.sched_getaffinity(0)})


def _siblings(root: Path, cpu: int) -> str:
    """What identifies the core of a logical CPU: the list of its threads."""
    path = root / "sys/devices/system/cpu" / f"cpu{cpu}" / "topology" / "thread_siblings_list"
    return _read(path).strip() or str(cpu)


def _quotas(root: Path) -> Iterator[float]:
    """CPUs that the quotas of this process's groups, and of all groups they are in, amount to."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            for mount in _SECOND_MOUNTS:
                yield from _limits(root / mount, path, _second)
        elif "cpu" in controllers.split(","):
            for mount in _FIRST_MOUNTS:
                yield from _limits(root / mount, path, _first)


def _limits(mount: Path, path: str, words: Callable[[Path], tuple[str, str]]) -> Iterator[float]:
    group = mount / path.strip("/")
    for folder in (group, *group.parents):
        quota, period = words(folder)
        # No quota is "max" in one version and -1 in the other.
        if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
            yield int(quota) / int(period)
        if folder == mount:
            return


def _second(folder: Path) -> tuple[str, str]:
    quota, period = [*_read(folder / "cpu.max").split(), "", ""][:2]
    return quota, period


def _first(folder: Path) -> tuple[str, str]:
    quota, period = (_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return quota, period


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
