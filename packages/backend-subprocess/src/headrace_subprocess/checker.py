"""Checks of files, one after the other, in a process that is replaced when it dies."""

from __future__ import annotations

import os
import time
from typing import Any

import attrs

from headrace.backend.abilities import StageBegins
from headrace.common.uncopyable import Uncopyable
from headrace.errors import BackendCrashedError, HeadraceError
from headrace.inspection.check import TEMPLATE
from headrace.params import IsolationParams
from headrace.results.check import CheckLimits, CheckOutcome, CheckStage
from headrace_subprocess.wire import Channel, Disconnected, Garbled
from headrace_subprocess.worker import Worker

_START = 120.0
"""Seconds a process has to import what it needs."""
_FILES = 200
"""Files that a process looks at before it is replaced: what they broke or leaked adds up."""
_MOST_STAGES = 50
_MOST_LINES = 20
_MOST_WORDS = 2000


class ProcessChecker(Uncopyable):
    """Looks at files with a backend in a process of its own.

    Args:
        backend: The backend's name.
        limits: What the process may use.
    """

    def __init__(self, backend: str, limits: CheckLimits) -> None:
        self._backend = backend
        self._limits = limits
        self._worker: Worker | None = None
        self._channel: Channel | None = None
        self._files = 0
        self._room = 0
        self.processes = 0
        """Processes started so far."""

    def check(self, path: str, begins: StageBegins | None = None) -> tuple[CheckStage, ...]:
        """Run all stages on a file; see ``headrace.backend.abilities.Checker``."""
        worker, channel = self._ready(path)
        self._files += 1
        stages: list[CheckStage] = []
        whole = False
        try:
            whole = self._follow(worker, channel, path, stages, begins or (lambda name: None))
        finally:
            if not whole or self._files >= _FILES:
                self._end(kill=not whole)
        return tuple(stages)

    def _follow(
        self,
        worker: Worker,
        channel: Channel,
        path: str,
        stages: list[CheckStage],
        begins: StageBegins,
    ) -> bool:
        """Take in the stages; whether the process can go on with another file."""
        stage, began = "start", time.monotonic()
        try:
            message = ("check", self._backend, path, self._limits.cpu_seconds)
            channel.send(message, worker.patience(stage))
            while len(stages) < _MOST_STAGES:
                limit = began + self._patience(stage) - time.monotonic()
                message = channel.receive(max(0.0, limit))
                worker.drain()
                if message is None:
                    worker.kill()
                    stages.append(self._hung(stage))
                    return False
                kind, value = _kind_and_value(message)
                if kind == "answer":
                    return True
                if kind == "begins":
                    stage, began = str(value)[:100], time.monotonic()
                    begins(stage)
                elif kind == "stage" and isinstance(value, CheckStage):
                    stages.append(_bounded(value))
                elif kind == "error" and isinstance(value, HeadraceError):
                    stages.append(_ended(stage, value, CheckOutcome.FAILED, began))
                    return False
                else:
                    break
        except Garbled:
            pass
        except Disconnected:
            stages.append(_ended(stage, worker.crashed(stage), CheckOutcome.CRASHED, began))
            return False
        # It sends what no check sends: nobody knows what runs in it by now.
        worker.kill()
        taken_over = BackendCrashedError("the process no longer did what it was told to")
        stages.append(_ended(stage, taken_over, CheckOutcome.CRASHED, began))
        return False

    def _patience(self, stage: str) -> float:
        limits = self._limits
        return limits.template_seconds if stage == TEMPLATE else limits.stage_seconds

    def _hung(self, stage: str) -> CheckStage:
        patience = self._patience(stage)
        return CheckStage(
            name=stage,
            outcome=CheckOutcome.HUNG,
            message=f"it had not ended after {patience:g} s",
            seconds=patience,
        )

    def _ready(self, path: str) -> tuple[Worker, Channel]:
        """A process that is free and may map this file."""
        room = _size_of(path)
        if self._worker is not None and room > self._room:
            self._end(kill=False)
        if self._worker is None or self._channel is None:
            self._start(room)
        assert self._worker is not None
        assert self._channel is not None
        return self._worker, self._channel

    def _start(self, room: int) -> None:
        memory = self._limits.memory_bytes + room
        worker = Worker(self._backend, IsolationParams(memory_bytes=memory))
        try:
            channel = worker.open_channel()
            patience = worker.patience("starting", seconds=_START)
            worker.request(channel, "prepare", patience=patience)
        except BaseException:
            worker.kill()
            worker.close()
            raise
        self._worker, self._channel = worker, channel
        self._room, self._files = room, 0
        self.processes += 1

    def _end(self, *, kill: bool) -> None:
        worker, channel = self._worker, self._channel
        self._worker = self._channel = None
        if channel is not None:
            channel.close()
        if worker is not None:
            if kill:
                worker.kill()
            worker.close()

    def close(self) -> None:
        """End the process. Closing again does nothing."""
        self._end(kill=True)


def _kind_and_value(message: Any) -> tuple[Any, Any]:
    is_pair = isinstance(message, (tuple, list)) and len(message) == 2
    return (message[0], message[1]) if is_pair else (None, None)


def _size_of(path: str) -> int:
    """Bytes of the file, which will be mapped; in steps, so that few processes are replaced."""
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError):
        return 0
    return -(-size // 2**28) * 2**28


def _ended(stage: str, error: HeadraceError, outcome: CheckOutcome, began: float) -> CheckStage:
    return _bounded(
        CheckStage(
            name=stage,
            outcome=outcome,
            message=error.message,
            error=type(error).__name__,
            native_log=error.native_log,
            seconds=time.monotonic() - began,
        )
    )


def _bounded(stage: CheckStage) -> CheckStage:
    """What a process says, which a file may have taken over: no more than is fit to show."""
    return attrs.evolve(
        stage,
        name=str(stage.name)[:100],
        outcome=CheckOutcome(stage.outcome),
        message=str(stage.message)[:_MOST_WORDS],
        error=None if stage.error is None else str(stage.error)[:100],
        native_log=tuple(str(line)[:_MOST_WORDS] for line in stage.native_log[-_MOST_LINES:]),
        seconds=float(stage.seconds),
    )
