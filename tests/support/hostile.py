"""Many bad files through one checker, and what came of them."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable
from pathlib import Path

import attrs

import headrace
from headrace.loading.isolation import open_checker
from headrace.results.check import CheckLimits, verdict_of
from tests.support import mutations, tiny_gguf

MODELS = ("attention", "window", "recurrent")
LIMITS = CheckLimits(memory_bytes=3 * 2**30, stage_seconds=20, template_seconds=0.5)


@attrs.define
class Tally:
    """What came of the files."""

    verdicts: dict[str, collections.Counter[str]] = attrs.field(factory=dict)
    """For each kind of mutation, how many files got each verdict."""
    ends: dict[str, collections.Counter[str]] = attrs.field(factory=dict)
    """For each kind, where those ended that crashed or hung."""
    slowest: float = 0.0
    """Seconds of the slowest file, a process started for it included."""
    processes: int = 0
    """Processes that were started."""
    resident_mib: list[float] = attrs.field(factory=list)
    """Memory of this process after each tenth."""
    seconds: float = 0.0

    @property
    def files(self) -> int:
        """Files in all."""
        return sum(each.total() for each in self.verdicts.values())

    def __str__(self) -> str:
        lines = [
            f"{kind:<18}{each.total():>6}  "
            + ", ".join(f"{name} {count}" for name, count in sorted(each.items()))
            + "".join(f"; {where} x{count}" for where, count in sorted(self.ends[kind].items()))
            for kind, each in sorted(self.verdicts.items())
        ]
        memory = " ".join(f"{each:.1f}" for each in self.resident_mib)
        lines.append(
            f"{self.files} files in {self.seconds:.0f} s, slowest {self.slowest:.2f} s, "
            f"{self.processes} processes, resident MiB of the parent: {memory}"
        )
        return "\n".join(lines)


def cases(count: int, kinds: Iterable[str] = tuple(mutations.KINDS)) -> list[tuple[str, int]]:
    """Kinds in turn with their seeds; templates, of which many take all their time, are fewer."""
    found = []
    names = list(kinds)
    for number in range(count):
        kind = names[number % len(names)]
        if kind == "template" and (number // len(names)) % 5:
            kind = "flip_bits"
        found.append((kind, number))
    return found


def check_files(chosen: list[tuple[str, int]], folder: Path, until: float | None = None) -> Tally:
    """Check the files that these kinds and seeds stand for.

    Args:
        chosen: Kinds and seeds.
        folder: Where to put the file that is looked at.
        until: By ``time.monotonic``, when to stop; None: after the last.
    """
    tally, began = Tally(), time.monotonic()
    path = folder / "hostile.gguf"
    sources = [tiny_gguf.path(kind) for kind in MODELS]
    checker = open_checker(headrace.backends()["llamacpp"], LIMITS)
    tenth = max(1, len(chosen) // 10)
    try:
        for number, (kind, seed) in enumerate(chosen, 1):
            if until is not None and time.monotonic() > until:
                break
            path.write_bytes(mutations.mutated(sources[seed % len(sources)], kind, seed))
            _count(tally, kind, checker, path)
            if number % tenth == 0:
                tally.resident_mib.append(resident_mib())
        tally.processes = checker.processes
    finally:
        checker.close()
    tally.seconds = time.monotonic() - began
    return tally


def _count(tally: Tally, kind: str, checker: headrace.inspection.check.Checker, path: Path) -> None:
    began = time.monotonic()
    stages = checker.check(str(path))
    tally.slowest = max(tally.slowest, time.monotonic() - began)
    verdicts = tally.verdicts.setdefault(kind, collections.Counter())
    ends = tally.ends.setdefault(kind, collections.Counter())
    verdict = verdict_of(list(stages))
    verdicts[verdict.value] += 1
    for stage in stages:
        if stage.outcome.value in ("crashed", "hung"):
            ends[f"{stage.name} {stage.outcome.value}"] += 1


def resident_mib() -> float:
    """Memory of this process (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("this system does not tell")
