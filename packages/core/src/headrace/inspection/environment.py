"""What can be said of the interpreter, the machine and the environment without a backend."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from headrace.results.diagnosis import CacheFolder

_DISTRIBUTIONS = ("headrace", "anyio", "attrs", "click", "pluggy", "rich", "numpy")
_OPTIONAL_DISTRIBUTIONS = ("huggingface_hub", "pip")
_PREFIXES = ("HEADRACE_", "CUDA_", "GGML_", "HF_", "HIP_", "LLAMA_", "OMP_", "ROCR_")
_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASS|AUTH|CRED", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_FEATURES = re.compile(
    r"(?:sse4_2|ssse3|avx\w*|f16c|fma|bmi2|amx_\w+|asimd\w*|neon|i8mm|bf16|fphp|sve\w*|sme(?:2\w*)?)"
)


def python() -> str:
    """The interpreter, in one line."""
    bits = 64 if sys.maxsize > 2**32 else 32
    where = "virtual environment" if sys.prefix != sys.base_prefix else "no virtual environment"
    name = platform.python_implementation()
    return f"{name} {platform.python_version()}, {bits} bits, {where}, {sys.executable}"


def system() -> str:
    """The operating system and its C library."""
    libc = " ".join(platform.libc_ver()).strip()
    return f"{platform.platform()} {platform.machine()}{f', {libc}' if libc else ''}"


def cpu() -> tuple[str, tuple[str, ...]]:
    """Name and features of the processor, where the system tells."""
    name, features = platform.processor(), set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                features = {each for each in value.split() if _FEATURES.fullmatch(each)}
                break
    return name, tuple(sorted(features))


def cpus() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> tuple[int | None, int | None]:
    """Bytes of memory, and those that are free; None where the system does not tell."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            key, _, value = line.partition(":")
            found[key] = int(value.split()[0]) * 1024
    return found.get("MemTotal"), found.get("MemAvailable")


def limits() -> dict[str, str]:
    """Limits of the process that are set, and those of its control group."""
    found: dict[str, str] = {}
    with contextlib.suppress(ImportError):
        import resource

        for name in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_MEMLOCK", "RLIMIT_NOFILE"):
            soft = resource.getrlimit(getattr(resource, name))[0]
            if soft != resource.RLIM_INFINITY:
                found[name] = str(soft)
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::"):
                found |= _control_group(Path("/sys/fs/cgroup") / line[3:].strip().lstrip("/"))
    return found


def _control_group(folder: Path) -> dict[str, str]:
    found = {}
    for name in ("memory.max", "memory.current", "cpu.max"):
        with contextlib.suppress(OSError):
            value = (folder / name).read_text().strip()
            if not value.startswith("max"):
                found[f"cgroup {name}"] = value
    return found


def environment(also: Iterable[str] = ()) -> dict[str, str]:
    """Variables that are set and matter; of those that look like secrets only that they are set.

    Args:
        also: Names beside those that headrace and the usual libraries heed.
    """
    wanted = set(also)
    return {
        name: "(set, not shown)" if _SECRET.search(name) else _CREDENTIALS.sub("…@", value)
        for name, value in sorted(os.environ.items())
        if name in wanted or name.startswith(_PREFIXES)
    }


def distributions(also: Iterable[str] = ()) -> dict[str, str]:
    """Versions of headrace's distributions, of what they need, and of others by name."""
    found: dict[str, str] = {}
    for name in dict.fromkeys((*_DISTRIBUTIONS, *also, *_OPTIONAL_DISTRIBUTIONS)):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name) or "unknown"
    return found


def folder(path: Path) -> CacheFolder | None:
    """A folder and its size; None if there is none."""
    if not path.is_dir():
        return None
    files = size = 0
    for parent, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(parent, name))
                files, size = files + 1, size + status.st_size
    return CacheFolder(path=str(path), files=files, size=size)
