"""What ``check_model`` finds out about a file: values, and the limits it works within."""

from __future__ import annotations

import enum
from pathlib import Path

import attrs

from headrace.params.fields import integer, number, strict_names


class CheckOutcome(str, enum.Enum):
    """How a stage of a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    """With an error, as a load would have."""
    CRASHED = "crashed"
    """The process that looked at the file died."""
    HUNG = "hung"
    """It was over its time and was ended."""
    SKIPPED = "skipped"
    """Not run: what it needs is not there, or the model has nothing of the kind."""


class CheckVerdict(str, enum.Enum):
    """What is to be thought of a file, the worst last."""

    FIT = "fit"
    """Every stage passed that applies to it."""
    UNUSABLE = "unusable"
    """Nothing wrong was seen, but the backend does not know this kind of model, or it needs more
    memory than the check allows."""
    DAMAGED = "damaged"
    """A stage failed; loading it raises an error."""
    DANGEROUS = "dangerous"
    """It crashed or hung the process that looked at it."""


@strict_names
@attrs.frozen(kw_only=True)
class CheckLimits:
    """What the process may use that looks at a file.

    It has no network and cannot write to files, as far as the system can take that away.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    memory_bytes: int = attrs.field(default=4 * 2**30, validator=integer(2**26))
    """Most address space beside the file itself, which is mapped (``RLIMIT_AS``).
    With less than about 2 GiB a sound chat template may fail: its interpreter is given a large
    stack."""

    cpu_seconds: int = attrs.field(default=60, validator=integer(1))
    """Most processor time for a file (``RLIMIT_CPU``)."""

    stage_seconds: float = attrs.field(default=60.0, validator=number(0, above=True))
    """Longest time of one stage; it is then taken for a hang."""

    template_seconds: float = attrs.field(default=5.0, validator=number(0, above=True))
    """The same for rendering the chat template, which is a program."""


@attrs.frozen(kw_only=True)
class CheckStage:
    """One stage of a check."""

    name: str
    """Such as ``header``, ``load`` or ``chat template``."""
    outcome: CheckOutcome
    message: str = ""
    """What was found, or why it failed or was skipped."""
    error: str | None = None
    """Name of the error's class, such as ``ModelFormatError``."""
    native_log: tuple[str, ...] = ()
    """Last lines of the native log, or of a dead process, oldest first."""
    seconds: float = 0.0
    """How long it took."""


@attrs.frozen(kw_only=True)
class ModelCheck:
    """What a check found."""

    path: Path
    backend: str | None
    """Name of the backend that looked at it; None if no installed one knows such a file."""
    verdict: CheckVerdict
    stages: tuple[CheckStage, ...]
    """In the order in which they were run."""
    seconds: float
    """How long the stages took together."""

    @property
    def fit(self) -> bool:
        """Whether the file can be used."""
        return self.verdict is CheckVerdict.FIT

    @property
    def problem(self) -> CheckStage | None:
        """The stage that decided the verdict; None if the file is fit."""
        if self.fit:
            return None
        return next(each for each in self.stages if verdict_of([each]) is self.verdict)


_BAD = (CheckOutcome.FAILED, CheckOutcome.CRASHED, CheckOutcome.HUNG)
_NOT_ITS_FAULT = ("UnsupportedError", "ModelLoadError", "ModelMemoryError", "BackendNotFoundError")
_WORST_LAST = list(CheckVerdict)


def verdict_of(stages: list[CheckStage]) -> CheckVerdict:
    """The worst that a stage speaks for."""
    spoken = [CheckVerdict.FIT, *(_speaks_for(each) for each in stages)]
    return max(spoken, key=_WORST_LAST.index)


def _speaks_for(stage: CheckStage) -> CheckVerdict:
    if stage.outcome not in _BAD:
        return CheckVerdict.FIT
    if stage.outcome is not CheckOutcome.FAILED:
        return CheckVerdict.DANGEROUS
    return CheckVerdict.UNUSABLE if stage.error in _NOT_ITS_FAULT else CheckVerdict.DAMAGED
