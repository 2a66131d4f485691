"""The self-tests of a diagnosis: a model is loaded, some text read, some more cancelled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from headrace.common.bounded import StillRunning
from headrace.common.seam import interrupts
from headrace.errors import BackendError
from headrace.loading.load import load_model
from headrace.params import EngineParams, ModelParams, SamplingParams
from headrace.results import Capability, StopReason
from headrace.results.diagnosis import REPORT, BackendDiagnosis, DiagnosisFinding, SelfTest, broken

_T = TypeVar("_T")
_SMALL = EngineParams(n_ctx=256, n_sequences=1, n_batch=64, n_ubatch=64)
_GREEDY = SamplingParams(temperature=0.0)
_PATIENCE = 60.0
"""Seconds a self-test waits for a model's text."""


def guarded(about: str, call: Callable[[], _T], findings: list[DiagnosisFinding]) -> _T | None:
    """What a call returns; None, and a finding, if it raises."""
    try:
        return call()
    except BaseException as error:  # whatever is broken, the rest is still looked at
        if interrupts(error) or isinstance(error, StillRunning):
            raise
        findings.append(broken(about, error))
        return None


def self_tests(
    said: dict[str, BackendDiagnosis],
    model: str | os.PathLike[str] | None,
    params: ModelParams | None,
    silent: list[str],
    findings: list[DiagnosisFinding],
) -> Iterator[SelfTest]:
    """Try the model that was named, or what each backend offers for it.

    Args:
        said: What the backends say of themselves, by name.
        model: Of the caller; None: those of the backends.
        params: How it is loaded.
        silent: Backends that do not answer when a load asks them.
        findings: What fails is added to them.
    """
    if model is not None and silent:
        told = f"not tried: it would hang, because {', '.join(silent)} would be asked"
        yield SelfTest(reference=os.fsdecode(model), passed=False, told=told, seconds=0.0)
        return
    if model is not None:
        yield _try(model, None, params, findings)
        return
    for name, diagnosis in said.items():
        if diagnosis.self_test is not None:
            yield _try(diagnosis.self_test, name, params, findings)


def _try(
    reference: str | os.PathLike[str],
    backend: str | None,
    params: ModelParams | None,
    findings: list[DiagnosisFinding],
) -> SelfTest:
    began = time.monotonic()
    told = guarded(
        f"self-test of {reference}", lambda: _exercise(reference, backend, params), findings
    )
    return SelfTest(
        reference=os.fsdecode(reference),
        passed=told is not None,
        told=told or "failed",
        seconds=time.monotonic() - began,
    )


def _exercise(
    reference: str | os.PathLike[str], backend: str | None, params: ModelParams | None
) -> str:
    """Load a model, read some text, cancel some more; what happened."""
    with load_model(reference, backend=backend, params=params, engine=_SMALL) as model:
        loaded = f"{model.info.description} with {model.info.backend}: loaded"
        if Capability.GENERATE not in model.capabilities:
            return loaded
        with model.open_session() as session:
            done = session.complete(
                "Once upon a time",
                sampling=_GREEDY,
                max_tokens=4,
                ignore_eog=True,
                timeout=_PATIENCE,
            )
            _expect(done.usage.completion_tokens > 0, "no token came")
            _expect(done.stop_reason is not StopReason.TIMED_OUT, "its text took too long")
            session.reset()
            stream = session.generate("Once upon a time", sampling=_GREEDY, ignore_eog=True)
            next(stream)
            stream.close()
            cancelled = stream.result.stop_reason
            _expect(cancelled is StopReason.CANCELLED, f"a cancel ended as {cancelled}")
        return f"{loaded}, {done.usage.completion_tokens} tokens read, a stream cancelled"


def _expect(held: bool, otherwise: str) -> None:
    if not held:
        raise BackendError(f"the self-test went wrong: {otherwise}", hint=REPORT)
