"""The host object: starts a child and has a backend load the model there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from headrace.common.description import Described
from headrace.errors import (
    BackendUnavailableError,
    HeadraceError,
    ModelLoadCancelledError,
)
from headrace.params import IsolationParams, ModelParams
from headrace.protocols import Backend, LoadRequest, Model
from headrace.results import Capability, ModelInfo
from headrace_subprocess._version import __version__
from headrace_subprocess.signals import Note, Signal

if TYPE_CHECKING:
    from headrace.backend.abilities import Checker
    from headrace.results.check import CheckLimits
    from headrace_subprocess.wire import Channel
    from headrace_subprocess.worker import Worker

HOST = "process"
_START = 120.0
"""Seconds a process has to import what it needs."""
_STOPPING = 2.0
"""Seconds a load has to stop that is not wanted any more."""


class ProcessHost(Described):
    """Runs backends, each model in a process of its own."""

    name = HOST
    protocol_version = 2
    version = __version__

    def _described(self) -> str:
        return f"{self.name!r} {self.version}"

    def load(self, request: LoadRequest, backend: Backend) -> Model:
        """Load a model with another backend in a process of its own.

        Raises:
            BackendCrashedError: If the process dies.
            HeadraceError: What the backend raises there.
        """
        with _needed_parts():
            from headrace_subprocess.client import Client
            from headrace_subprocess.model import SubprocessModel
            from headrace_subprocess.worker import Worker
        worker = Worker(backend.name, _limits(request.params))
        try:
            channel = worker.open_channel()
            info, capabilities = _Load(worker, request).run(channel, backend.name)
        except BaseException:
            worker.kill()
            worker.close()
            raise
        return SubprocessModel(Client(worker, info, channel), capabilities)

    def open_checker(self, backend: Backend, limits: CheckLimits) -> Checker:
        """A checker whose process looks at files with another backend; see ``HostsChecks``.

        Raises:
            BackendUnavailableError: If the system lacks what a process needs.
        """
        with _needed_parts():
            from headrace_subprocess.checker import ProcessChecker
        return ProcessChecker(backend.name, limits)


def _limits(params: ModelParams) -> IsolationParams:
    """What the process may do; other machines are reached by network."""
    limits = params.isolation or IsolationParams()
    return attrs.evolve(limits, network=True) if params.rpc_servers else limits


class _Load:
    """Has the child load, passes its progress on, and ends it when the caller says so.

    Args:
        worker: The child.
        request: What is to be loaded.
    """

    def __init__(self, worker: Worker, request: LoadRequest) -> None:
        self._worker = worker
        self._request = request
        self._told = _Told(request)
        self._fraction = 0.0
        self._stopped_at: float | None = None

    def run(self, channel: Channel, backend: str) -> tuple[ModelInfo, frozenset[Capability]]:
        """What the child says of the model that it has loaded."""
        request = self._request
        # Imports are not watched as work is: on a busy machine they may take longer.
        self._ask(channel, ("prepare",), "starting", _START)
        message = (
            *("load", backend, request.reference, request.params, request.engine),
            dict(request.options),
        )
        watchdog = self._worker.limits.watchdog
        loaded = self._ask(channel, message, "loading the model", watchdog)
        if self._stopped_at is not None:
            raise self._stopped()  # it was too far to stop
        return _checked_answer(self._worker, loaded)

    def _ask(self, channel: Channel, message: Any, doing: str, seconds: float) -> Any:
        patience = self._worker.patience(doing, seconds=seconds, between=self._look)
        self._worker.send(channel, message, doing, patience)
        try:
            return self._worker.answer(channel, doing, patience, self._passed_on)
        except HeadraceError:
            if self._told.error is not None:
                raise self._told.error from None
            raise

    def _passed_on(self, kind: str, value: Any) -> None:
        if kind != "progress" or not isinstance(value, float):
            raise self._worker.nonsense("loading the model", value)
        self._fraction = value
        self._look()

    def _look(self) -> None:
        """See whether the load is still wanted; a child that does not stop then is ended."""
        if self._stopped_at is None and self._told.stops(self._fraction):
            self._stopped_at = time.monotonic()
            self._worker.signal(Note(Signal.STOP_LOAD))
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > _STOPPING:
            raise self._stopped()

    def _stopped(self) -> BaseException:
        return self._told.error or ModelLoadCancelledError(
            "the load was cancelled, and its process ended",
            backend=self._worker.backend,
        )


def _checked_answer(worker: Worker, value: Any) -> tuple[ModelInfo, frozenset[Capability]]:
    match value:
        case (ModelInfo() as info, frozenset() as capabilities):
            return info, capabilities
    raise worker.nonsense("loading the model", value)


@contextlib.contextmanager
def _needed_parts() -> Iterator[None]:
    """Around imports that not every system has."""
    try:
        yield
    except ImportError as error:
        raise BackendUnavailableError(
            f"isolation={HOST!r} does not work on this system: {error}",
            hint="It needs POSIX and the package msgpack.",
        ) from error


class _Told:
    """Calls the caller's progress function; what it raises is kept until the load has ended."""

    def __init__(self, request: LoadRequest) -> None:
        self._progress = request.progress
        self.error: BaseException | None = None

    def stops(self, fraction: float) -> bool:
        """Whether the load is to end."""
        if self._progress is None or self.error is not None:
            return False
        try:
            return self._progress(fraction) is False
        except BaseException as error:
            self.error = error
            return True
