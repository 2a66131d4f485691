"""What ``headrace.diagnose`` finds out: frozen values, fit to be pasted into a bug report."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from headrace.common.quotes import told
from headrace.errors import HeadraceError
from headrace.results.machine import Device, SystemInfo

BROKEN, WARNING = "broken", "warning"
REPORT = "Run headrace doctor --debug for the traceback, and report it."


@attrs.frozen(kw_only=True)
class DiagnosisFinding:
    """Something that is not as it should be."""

    severity: str
    """``broken``: something will not work; ``warning``: something may surprise."""
    about: str
    """What it concerns: a backend, a plugin, a variable, a folder."""
    message: str
    """What was found."""
    remedy: str
    """What to do about it."""
    traceback: str = ""
    """Where it came from, if it was raised."""


@attrs.frozen(kw_only=True)
class BackendDiagnosis:
    """What a backend says of itself, see ``headrace.backend.abilities``."""

    system: SystemInfo | None = None
    """What it computes with, as far as that can be said without a model."""
    distributions: tuple[str, ...] = ()
    """Installed distributions that it consists of."""
    environment: tuple[str, ...] = ()
    """Environment variables that it, or a library of it, heeds."""
    self_test: str | None = None
    """A reference that it can load without a file, to be tried."""
    findings: tuple[DiagnosisFinding, ...] = ()
    """What it found wrong with itself."""


@attrs.frozen(kw_only=True)
class BackendReport:
    """An installed backend."""

    name: str
    """As in ``backend=…``."""
    version: str
    """Its own version."""
    distribution: str
    """Distribution that brought it, with its version."""
    library: str
    """Its native library, or why there is none; empty if it does not tell."""
    system: SystemInfo | None = None
    """What it computes with."""


@attrs.frozen(kw_only=True)
class PluginReport:
    """A host, a resolver, an observer or a command."""

    kind: str
    """Which of them."""
    name: str
    """Its name, its scheme or its class."""
    distribution: str
    """Distribution that brought it, with its version."""


@attrs.frozen(kw_only=True)
class CacheFolder:
    """A folder for things that were fetched or built."""

    path: str
    """Where it is."""
    files: int
    """Files in it."""
    size: int
    """Their bytes."""


@attrs.frozen(kw_only=True)
class SelfTest:
    """A model that was loaded, asked for some text and cancelled."""

    reference: str
    """Which model."""
    passed: bool
    """Whether all of it worked."""
    told: str
    """What happened, in one line."""
    seconds: float
    """How long it took, on the monotonic clock."""


@attrs.frozen(kw_only=True)
class Diagnosis:
    """Everything that a bug report should say of an installation."""

    headrace: str
    """Version of the core."""
    python: str
    """The interpreter."""
    platform: str
    """The operating system."""
    cpu: str
    """The processor; empty where it does not tell."""
    cpu_features: tuple[str, ...]
    """Instruction sets of it that kernels use, by the names of Linux's ``/proc/cpuinfo``."""
    cpus: int
    """Processors that this process may use."""
    memory_total: int | None
    """Bytes of memory; None where it does not tell."""
    memory_available: int | None
    """Bytes that are free."""
    limits: Mapping[str, str]
    """Limits of the process and its control group."""
    distributions: Mapping[str, str]
    """Versions of what is installed."""
    environment: Mapping[str, str]
    """Variables that are set; of secrets only that they are."""
    backends: tuple[BackendReport, ...]
    """What is installed and works."""
    devices: tuple[Device, ...]
    """What they can compute on."""
    plugins: tuple[PluginReport, ...]
    """Hosts, resolvers, observers and commands."""
    caches: tuple[CacheFolder, ...]
    """Folders and their sizes."""
    self_tests: tuple[SelfTest, ...]
    """What was tried."""
    findings: tuple[DiagnosisFinding, ...]
    """What is wrong, the worst first."""

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return all(each.severity != BROKEN for each in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, with the home folder written as ``~``."""
        found = attrs.asdict(self)
        found["ok"] = self.ok
        hidden: dict[str, Any] = _without_home(found, _homes())
        return hidden


def broken(about: str, error: BaseException) -> DiagnosisFinding:
    """The finding of what was raised."""
    message, hint = told(error, most=2000), None
    if isinstance(error, HeadraceError):
        message, hint = error.message, error.hint
    return DiagnosisFinding(
        severity=BROKEN,
        about=about,
        message=message,
        remedy=hint or REPORT,
        traceback="".join(traceback.format_exception(error)),
    )


def _homes() -> list[str]:
    try:
        home = Path.home()
    except RuntimeError:
        return []
    found = {str(home), str(home.resolve())}
    return sorted((each for each in found if len(each) > 1), key=len, reverse=True)


def _without_home(value: Any, homes: list[str]) -> Any:
    if isinstance(value, str):
        for home in homes:
            value = value.replace(home, "~")
        return value
    if isinstance(value, Mapping):
        return {
            _without_home(key, homes): _without_home(each, homes) for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_without_home(each, homes) for each in value]
    return value
