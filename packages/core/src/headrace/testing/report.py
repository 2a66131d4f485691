"""What a run of the kit found out, for people and for programs."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

import attrs

from headrace.testing.rules import Rule


class Status(str, enum.Enum):
    """What became of a rule."""

    PASSED = "passed"
    """It holds."""
    FAILED = "failed"
    """It does not."""
    SKIPPED = "skipped"
    """The author says why it is not looked at."""
    NOT_APPLICABLE = "not_applicable"
    """It is for models that can do something else."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen
class Outcome:
    """What became of one rule."""

    rule: Rule
    status: Status
    reason: str = ""
    """Why it failed, was skipped or does not apply."""
    notes: dict[str, float] = attrs.field(factory=dict)
    """Figures measured on the way; nothing is judged by them."""
    traceback: str = attrs.field(default="", repr=False)
    """Of a failure."""


_SIGNS = {
    Status.PASSED: "holds",
    Status.FAILED: "FAILS",
    Status.SKIPPED: "skipped",
    Status.NOT_APPLICABLE: "-",
}


@attrs.frozen
class Report:
    """What became of all the rules that were asked for."""

    backend: str
    """Name of the backend."""
    model: str
    """Reference of the model it was tested with."""
    outcomes: tuple[Outcome, ...]
    stopped: str = ""
    """Why the rules after the last outcome were not looked at; empty if all were."""

    @property
    def conforms(self) -> bool:
        """Whether no rule failed and at least one holds."""
        failed = self.stopped or self.of(Status.FAILED)
        return not failed and bool(self.of(Status.PASSED))

    def of(self, status: Status) -> list[Outcome]:
        """The outcomes of this kind."""
        return [each for each in self.outcomes if each.status is status]

    def lines(self) -> Iterable[str]:
        """The table, a rule to a line, and the summary."""
        yield f"{self.backend} with {self.model}"
        for outcome in self.outcomes:
            yield from outcome_lines(outcome)
        yield self.summary

    @property
    def summary(self) -> str:
        """How many rules came to which end."""
        counts = (f"{len(self.of(status))} {str(status).replace('_', ' ')}" for status in Status)
        told = ", ".join(counts)
        return f"{told}; stopped: {self.stopped}" if self.stopped else told

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "backend": self.backend,
            "model": self.model,
            "conforms": self.conforms,
            "stopped": self.stopped,
            "rules": [
                {
                    "id": each.rule.id,
                    "rule": each.rule.sentence,
                    "status": str(each.status),
                    "reason": each.reason,
                    "notes": each.notes,
                    "traceback": each.traceback,
                }
                for each in self.outcomes
            ],
        }


def outcome_lines(outcome: Outcome) -> Iterable[str]:
    """One rule of the table, and below it why it does not hold, or what was measured."""
    yield f"{_SIGNS[outcome.status]:8} {outcome.rule.id:32} {outcome.rule.sentence}"
    if outcome.reason:
        yield f"{'':41} {outcome.reason}"
    for name, value in outcome.notes.items():
        yield f"{'':41} measured: {name} {value:.3g}"
