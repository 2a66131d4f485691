"""``diagnose``: looks at everything, lets nothing stop it, and says what to do.

Each part is asked on its own; what one raises becomes a finding beside the
answers of the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from headrace._version import __version__
from headrace.backend.abilities import Diagnoses
from headrace.common.bounded import StillRunning, within
from headrace.common.cache import cache_dir
from headrace.common.overdue import told_when_overdue
from headrace.common.quotes import shown
from headrace.common.seam import Seam
from headrace.common.variables import BACKEND_VARIABLE
from headrace.common.workers import in_worker, let_go
from headrace.errors import HeadraceError
from headrace.inspection.devices import library_of, survey
from headrace.inspection.self_test import guarded, self_tests
from headrace.loading.choose import INSTALL_HINT
from headrace.params import ModelParams
from headrace.results.diagnosis import (
    BROKEN,
    WARNING,
    BackendDiagnosis,
    BackendReport,
    Diagnosis,
    DiagnosisFinding,
    PluginReport,
    broken,
)
from headrace.streams.observers import failed_observers

if TYPE_CHECKING:
    from headrace.backend.plugins import Discovery, Installed, InstalledBackend

_T = TypeVar("_T")
ANSWER = 10.0
"""Seconds a backend has to say whether it can load something: it reads a few bytes."""
_NOBODYS = "headrace-doctor-asks.no-such-model"
_LEAVE_OUT = "HEADRACE_PLUGINS can leave plugins out"


def diagnose(
    *,
    model: str | os.PathLike[str] | None = None,
    self_test: bool = True,
    params: ModelParams | None = None,
) -> Diagnosis:
    """Look at the whole installation; nothing that is broken raises.

    Args:
        model: A model to try: path or reference. None: what backends can load without a file,
            which takes less than a second.
        self_test: Whether to load models and ask them for some text.
        params: How they are loaded, such as in a process of their own.

    Returns:
        What was found; its ``as_dict`` is fit to be published.
    """
    # Imports as much as all the rest of headrace.
    from headrace.inspection import environment

    findings: list[DiagnosisFinding] = []
    discovery = _discover(findings)
    silent = [each.name for each in discovery.backends if not _answers(each, model, findings)]
    said = {each.name: _ask(each, findings) for each in discovery.backends}
    with told_when_overdue("the backends to list their devices", _LEAVE_OUT):
        seen = survey(each.backend for each in discovery.backends)
    for name, error in seen.failures.items():
        findings.append(broken(f"devices of {name}", error))
    findings += _about_variables(discovery)
    tests = list(self_tests(said, model, params, silent, findings)) if self_test else []
    cpu, features = environment.cpu()
    total, available = environment.memory()
    folders = [environment.folder(path) for path in _folders()]
    return Diagnosis(
        headrace=__version__,
        python=environment.python(),
        platform=environment.system(),
        cpu=cpu,
        cpu_features=features,
        cpus=environment.cpus(),
        memory_total=total,
        memory_available=available,
        limits=environment.limits(),
        distributions=environment.distributions(_distributions(discovery, said)),
        environment=environment.environment(
            name for each in said.values() for name in each.environment
        ),
        backends=tuple(_report(each, said[each.name]) for each in discovery.backends),
        devices=seen.devices,
        plugins=tuple(_plugins(discovery)),
        caches=tuple(each for each in folders if each is not None),
        self_tests=tuple(tests),
        findings=tuple(sorted(findings, key=lambda each: each.severity != BROKEN)),
    )


async def adiagnose(
    *,
    model: str | os.PathLike[str] | None = None,
    self_test: bool = True,
    params: ModelParams | None = None,
) -> Diagnosis:
    """``diagnose`` for a task of asyncio or trio."""
    return await in_worker(
        lambda: diagnose(model=model, self_test=self_test, params=params), cancel=let_go
    )


def _discover(findings: list[DiagnosisFinding]) -> Discovery:
    from headrace.backend.plugins import Discovery, discover

    try:
        found = discover(refresh=True)
    except HeadraceError as error:  # in strict mode
        findings.append(broken("plugins", error))
        return Discovery()
    for entry in found.quarantine:
        findings.append(
            DiagnosisFinding(
                severity=BROKEN,
                about=f"plugin {entry.plugin} ({_origin(entry.distribution, entry)})",
                message=entry.error.message,
                remedy=entry.error.hint
                or "Upgrade or uninstall it; headrace doctor --debug shows the traceback for its "
                "author.",
                traceback=entry.traceback,
            )
        )
    if not found.backends:
        message = "there is no backend that could load a model"
        findings.append(
            DiagnosisFinding(
                severity=BROKEN, about="backends", message=message, remedy=INSTALL_HINT
            )
        )
    for failed in failed_observers():
        findings.append(
            DiagnosisFinding(
                severity=WARNING,
                about=f"observer {failed.name}",
                message="it raised, and is not called any more in this process",
                remedy="Upgrade or uninstall its plugin.",
                traceback=failed.traceback,
            )
        )
    return found


def _answers(
    entry: InstalledBackend, model: str | os.PathLike[str] | None, findings: list[DiagnosisFinding]
) -> bool:
    """Whether a backend answers when it is asked what it can load; rightly or not."""
    reference = _NOBODYS if model is None else os.fsdecode(model)
    about = f"can_load of backend {entry.name}"

    def ask() -> bool:
        return within(ANSWER, lambda: entry.backend.can_load(reference))

    try:
        guarded(about, ask, findings)
    except StillRunning as error:
        findings.append(
            DiagnosisFinding(
                severity=BROKEN,
                about=about,
                message=f"{error} to whether it can load {reference!r}; a load that names no "
                "backend hangs",
                remedy=f"Upgrade or uninstall it ({_origin(entry.distribution, entry)}), or name "
                f"another one with --backend, backend=… or {BACKEND_VARIABLE}.",
                traceback=error.stack,
            )
        )
        return False
    return True


def _ask(entry: InstalledBackend, findings: list[DiagnosisFinding]) -> BackendDiagnosis:
    with told_when_overdue(f"backend {entry.name!r} to look at itself", _LEAVE_OUT):
        found = guarded(f"backend {entry.name}", lambda: _diagnosis(entry), findings)
    if found is None:
        return BackendDiagnosis()
    findings += found.findings
    return found


def _diagnosis(entry: InstalledBackend) -> BackendDiagnosis:
    if not isinstance(entry.backend, Diagnoses):
        return BackendDiagnosis()
    found: Any = entry.backend.diagnose()
    if not isinstance(found, BackendDiagnosis) or any(
        not isinstance(each, DiagnosisFinding) for each in found.findings
    ):
        raise Seam(entry.name).breach("diagnose", f"{shown(found)} instead of a BackendDiagnosis")
    return found


def _report(entry: InstalledBackend, said: BackendDiagnosis) -> BackendReport:
    return BackendReport(
        name=entry.name,
        version=entry.backend.version,
        distribution=_origin(entry.distribution, entry),
        library=library_of(entry),
        system=said.system,
    )


def _origin(distribution: str | None, entry: Installed | object) -> str:
    version = getattr(entry, "distribution_version", None)
    return f"{distribution} {version}" if distribution else "of no known distribution"


def _plugins(discovery: Discovery) -> Iterator[PluginReport]:
    kinds: dict[str, Sequence[Installed]] = {
        "host": discovery.hosts,
        "resolver": discovery.resolvers,
        "observer": discovery.observers,
        "command": discovery.commands,
    }
    for kind, entries in kinds.items():
        for each in entries:
            origin = _origin(each.distribution, each)
            yield PluginReport(kind=kind, name=each.name, distribution=origin)


def _distributions(discovery: Discovery, said: dict[str, BackendDiagnosis]) -> Iterable[str]:
    entries = (
        *discovery.backends,
        *discovery.hosts,
        *discovery.observers,
        *discovery.commands,
    )
    named = (each.distribution for each in entries)
    return (*filter(None, named), *(name for each in said.values() for name in each.distributions))


def _about_variables(discovery: Discovery) -> Iterator[DiagnosisFinding]:
    name = os.environ.get(BACKEND_VARIABLE)
    if name and discovery.find(name) is None:
        yield DiagnosisFinding(
            severity=BROKEN,
            about=BACKEND_VARIABLE,
            message=f"it names {name!r}, and there is no such backend",
            remedy="Unset it, or install that backend.",
        )
    for folder in (cache_dir(), *cache_dir().parents):
        if folder.exists():
            if not folder.is_dir() or not os.access(folder, os.W_OK):
                yield DiagnosisFinding(
                    severity=WARNING,
                    about="cache",
                    message=f"{cache_dir()} cannot be written",
                    remedy="Set HEADRACE_CACHE_DIR to a folder that can.",
                )
            return


def _folders() -> list[Path]:
    root = cache_dir()
    inside = sorted(each for each in root.iterdir() if each.is_dir()) if root.is_dir() else []
    return [root, *inside]
