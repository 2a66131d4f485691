"""``check_model``: looking at a model file from somewhere else before it is used.

Nothing of the file is read in this process. The stages are run in one that may die: by
``run_stages``, which is called there, with a backend that is installed here and there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from headrace.backend.abilities import ChecksFiles, FileStage
from headrace.backend.backend import Backend, LoadRequest
from headrace.common.seam import interrupts
from headrace.common.workers import in_worker
from headrace.errors import (
    BackendNotFoundError,
    HeadraceError,
    ModelNotFoundError,
    UnsupportedError,
)
from headrace.loading.arguments import checked, checked_reference
from headrace.loading.backend_call import load_with
from headrace.loading.choose import backends, choose_backend
from headrace.loading.isolation import open_checker
from headrace.model import Model
from headrace.params import EngineParams, ModelParams, SamplingParams
from headrace.results import Capability
from headrace.results.check import CheckLimits, CheckOutcome, CheckStage, ModelCheck, verdict_of

LOAD, TOKENS, TEMPLATE = "load", "tokens", "chat template"
_N_TOKENS = 4
_CONVERSATION = [
    {"role": "user", "content": "What is a headrace?"},
    {"role": "assistant", "content": "A channel that brings water to a mill wheel."},
    {"role": "user", "content": "Thank you."},
]
_ENGINE = EngineParams(n_ctx=256, n_sequences=1, n_threads=1)
_MODEL = ModelParams(n_gpu_layers=0, check_tensors=True)
_MOST_WORDS = 2000


def check_model(
    path: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    limits: CheckLimits | None = None,
    progress: Callable[[str], None] | None = None,
) -> ModelCheck:
    """Look at a model file in a process with limits, and say what is wrong with it.

    A bad file is a value here, not an exception, whatever it does to the process.

    Args:
        path: The file.
        backend: As for ``load_model``.
        limits: What the process may use.
        progress: Told the name of each stage before it is run.

    Returns:
        The verdict, and how each stage ended.

    Raises:
        ParamsError: If an argument is not what it must be.
        ModelNotFoundError: If there is no such file.
        BackendNotFoundError: If there is no backend of that name, or none that could run the
            check in a process (``headrace-subprocess``).
        BackendCrashedError: If no such process can be started.
    """
    text = checked_reference(path, "check_model")
    limits = checked("limits", limits, CheckLimits, "check_model")
    began = time.monotonic()
    try:
        chosen = choose_backend(backend, text)
    except BackendNotFoundError as error:
        if backend is not None or not backends() or not Path(text).is_file():
            raise
        stages: tuple[CheckStage, ...] = (_failed("backend", error, began),)
        return _result(text, None, stages)
    checker = open_checker(chosen, limits)
    try:
        stages = checker.check(text, progress)
    finally:
        checker.close()
    if stages and stages[0].error == ModelNotFoundError.__name__:
        raise ModelNotFoundError(stages[0].message, backend=chosen.name)
    return _result(text, chosen.name, stages)


async def acheck_model(
    path: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    limits: CheckLimits | None = None,
    progress: Callable[[str], None] | None = None,
) -> ModelCheck:
    """``check_model`` for a task of asyncio or trio; cancelling the task ends it after a stage.

    ``progress`` is called in a worker thread.
    """
    abandoned = threading.Event()

    def told(stage: str) -> None:
        if abandoned.is_set():
            raise _Abandoned
        if progress is not None:
            progress(stage)

    return await in_worker(
        lambda: check_model(path, backend=backend, limits=limits, progress=told),
        cancel=abandoned.set,
    )


class _Abandoned(Exception):
    """Nobody waits for the check any more."""


def _result(path: str, backend: str | None, stages: tuple[CheckStage, ...]) -> ModelCheck:
    return ModelCheck(
        path=Path(path),
        backend=backend,
        verdict=verdict_of(list(stages)),
        stages=stages,
        seconds=sum(each.seconds for each in stages),
    )


def run_stages(backend: Backend, path: str, begins: Callable[[str], None]) -> Iterator[CheckStage]:
    """Run the stages, in this process: that is to say in one that may die.

    Args:
        backend: Looks at the file.
        path: The file.
        begins: Told the name of each stage before it is run.
    """
    passed: set[str | None] = {None}
    trial = _Trial(backend, path)
    own = list(backend.file_stages(path)) if isinstance(backend, ChecksFiles) else []
    last = own[-1].name if own else None
    try:
        for each in (*own, *trial.stages(last)):
            if each.needs not in passed:
                yield CheckStage(
                    name=each.name,
                    outcome=CheckOutcome.SKIPPED,
                    message=f"the stage {each.needs!r} did not pass",
                )
                continue
            begins(each.name)
            stage = _run(each)
            if stage.outcome is CheckOutcome.PASSED:
                passed.add(each.name)
            yield stage
    finally:
        trial.close()


def _run(stage: FileStage) -> CheckStage:
    began = time.monotonic()
    try:
        found = stage.run()
    except UnsupportedError as error:
        # A model without such a thing is no bad one; a load that is refused is another matter.
        failed = _failed(stage.name, error, began)
        if stage.name in (TOKENS, TEMPLATE):
            return CheckStage(name=stage.name, outcome=CheckOutcome.SKIPPED, message=failed.message)
        return failed
    except Exception as error:
        if interrupts(error):
            raise  # it says nothing of the file
        return _failed(stage.name, error, began)
    return CheckStage(
        name=stage.name,
        outcome=CheckOutcome.PASSED,
        message=found[:_MOST_WORDS],
        seconds=time.monotonic() - began,
    )


def _failed(name: str, error: Exception, began: float) -> CheckStage:
    ours = isinstance(error, HeadraceError)
    message = error.message if isinstance(error, HeadraceError) else str(error)
    hint = error.hint if isinstance(error, HeadraceError) else None
    return CheckStage(
        name=name,
        outcome=CheckOutcome.FAILED,
        message=(message if ours else f"{type(error).__name__}: {message}")[:_MOST_WORDS]
        + (f" ({hint})" if hint and isinstance(error, UnsupportedError) else ""),
        error=type(error).__name__,
        native_log=tuple(line[:_MOST_WORDS] for line in getattr(error, "native_log", ())),
        seconds=time.monotonic() - began,
    )


class _Trial:
    """The stages that every backend has: the model is loaded and used a little."""

    def __init__(self, backend: Backend, path: str) -> None:
        self._backend = backend
        self._path = path
        self._model: Model | None = None

    def stages(self, needs: str | None) -> tuple[FileStage, ...]:
        """Them in order; the load needs a stage of the backend's."""
        return (
            FileStage(LOAD, needs, self._load),
            FileStage(TOKENS, LOAD, self._generate),
            FileStage(TEMPLATE, LOAD, self._render),
        )

    def _loaded(self) -> Model:
        assert self._model is not None, "the stage before it passed"
        return self._model

    def _load(self) -> str:
        request = LoadRequest(reference=self._path, params=_MODEL, engine=_ENGINE)
        self._model = load_with(self._backend, request)
        info = self._model.info
        return info.description or info.architecture or info.name

    def _generate(self) -> str:
        with self._loaded().open_session() as session:
            done = session.complete(
                "Hello",
                max_tokens=_N_TOKENS,
                sampling=SamplingParams(temperature=0),
                ignore_eog=True,
            )
        return f"{done.usage.completion_tokens} tokens"

    def _render(self) -> str:
        model = self._loaded()
        if Capability.CHAT not in model.capabilities:
            raise UnsupportedError("the model has no chat")
        backend = self._backend
        if isinstance(backend, ChecksFiles) and not backend.has_chat_template(model):
            raise UnsupportedError("the file has none")
        return f"{len(model.render_chat(_CONVERSATION).prompt)} characters"

    def close(self) -> None:
        """Let go of the model."""
        if self._model is not None:
            self._model.close()
