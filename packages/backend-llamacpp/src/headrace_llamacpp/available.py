"""How much memory this process can still get: of the machine, of its container, by its own limits.

Linux tells all of it in files. Elsewhere ggml says what the machine has free.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import attrs

_ROOT = Path("/")
_NO_LIMIT = 2**60
"""The first version of cgroups writes "no limit" as a huge number."""


@attrs.frozen
class Available:
    """What is left, in bytes."""

    free: int | None
    """Memory; None: unknown."""
    limit: str
    """Where the tightest limit comes from, in words."""
    address_space: int | None
    """Addresses; None: no limit."""


@attrs.frozen
class _Controller:
    """The files of a version of cgroups."""

    mount: str
    most: str
    used: str
    reclaimable: str
    """The line of ``memory.stat`` with cached file contents, which make way for others."""


_V1 = _Controller(
    "sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
)
_V2 = _Controller("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")


def available(root: Path = _ROOT) -> Available:
    """What this process can still get; ``root`` is where ``proc`` and ``sys`` are looked for."""
    limits = [*_of_the_machine(root), *_of_the_container(root), *_of_data(root)]
    free, limit = min(limits, default=(None, ""))
    return Available(free, limit, _addresses(root))


def _of_the_machine(root: Path) -> Iterator[tuple[int, str]]:
    pairs = _pairs(root / "proc" / "meminfo")
    if "MemAvailable" in pairs:
        yield pairs["MemAvailable"] * 1024, "MemAvailable"


def _of_the_container(root: Path) -> Iterator[tuple[int, str]]:
    for line in _read(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            yield from _of_group(root, _V2, path)
        elif "memory" in controllers.split(","):
            yield from _of_group(root, _V1, path)


def _of_group(root: Path, kind: _Controller, path: str) -> Iterator[tuple[int, str]]:
    """The limits of a group and of all groups it is in; in a container the path may be hidden."""
    mount = root / kind.mount
    group = mount / path.strip("/")
    for folder in (group, *group.parents):
        most = _number(folder / kind.most)
        used = _number(folder / kind.used)
        if most is not None and used is not None and most < _NO_LIMIT:
            cached = _pairs(folder / "memory.stat").get(kind.reclaimable, 0)
            yield max(0, most - max(0, used - cached)), f"cgroup {kind.most}"
        if folder == mount:
            return


def _of_data(root: Path) -> Iterator[tuple[int, str]]:
    most = _own_limit("RLIMIT_DATA")
    used = _pairs(root / "proc" / "self" / "status").get("VmData")
    if most is not None and used is not None:
        yield max(0, most - used * 1024), "RLIMIT_DATA"


def _addresses(root: Path) -> int | None:
    most = _own_limit("RLIMIT_AS")
    used = _pairs(root / "proc" / "self" / "status").get("VmSize")
    return None if most is None or used is None else max(0, most - used * 1024)


def _own_limit(name: str) -> int | None:
    if os.name != "posix":
        return None
    import resource

    if not hasattr(resource, name):
        return None
    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft in (resource.RLIM_INFINITY, -1) else soft


def _pairs(path: Path) -> dict[str, int]:
    """Lines such as ``MemFree:  123 kB`` or ``inactive_file 123``."""
    found = {}
    for line in _read(path).splitlines():
        words = line.replace(":", " ").split()
        if len(words) > 1 and words[1].isdecimal():
            found[words[0]] = int(words[1])
    return found


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except (OSError, ValueError):
        return ""
