"""What this machine's CPU can do: asked of the system, best effort.

Where the system does not tell, nothing is held against the machine: most machines can run what
they install.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

# macOS's words, where they differ from Linux's by more than case and punctuation.
_FROM_MACOS = {
    "sse3": "pni",
    "lzcnt": "abm",
    "avx10": "avx",
    "featlse": "atomics",
    "featdotprod": "asimddp",
    "featfp16": "asimdhp",
    "feati8mm": "i8mm",
    "featbf16": "bf16",
    "featsme": "sme",
}


def missing_features(needed: Iterable[str]) -> tuple[str, ...]:
    """Which of the needed features this machine's CPU lacks; none where it cannot be told."""
    names = tuple(needed)
    if not names:
        return ()
    available = _macos_features() if sys.platform == "darwin" else _linux_features()
    if not available:
        return ()
    return tuple(name for name in names if _plain(name) not in available)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _linux_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The features that every core has (``flags`` on x86, ``Features`` on ARM)."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    cores = {line for line in lines if line.lower().startswith(("flags", "features"))}
    features = [frozenset(map(_plain, line.partition(":")[2].split())) for line in cores]
    return frozenset.intersection(*features) if features else frozenset()


def _macos_features() -> frozenset[str]:
    """From sysctl: lists of words on Intel, ``hw.optional.arm.FEAT_X: 1`` on ARM."""
    import subprocess

    try:
        command = ["/usr/sbin/sysctl", "machdep.cpu", "hw.optional"]
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return frozenset()
    words: list[str] = []
    for line in output.splitlines():
        key, _, value = line.partition(":")
        if key.endswith("features"):
            words += value.split()
        elif key.startswith("hw.optional") and value.strip() == "1":
            words.append(key.rpartition(".")[2])
    return frozenset(_FROM_MACOS.get(word, word) for word in map(_plain, words))
