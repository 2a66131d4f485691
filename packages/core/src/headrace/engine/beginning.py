"""Between a generation's beginning and its stream: whoever gets no stream leaves nothing behind."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from headrace.results import StopReason

if TYPE_CHECKING:
    from headrace.engine.sequence import Sequence


class Beginning:
    """A ``with`` block in which a generation begins and its stream is made.

    Whatever is raised in between, the caller has no stream to end the generation by: it is
    cancelled. Only stores are made for that, since stack or memory may have run out.
    """

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence

    def __enter__(self) -> Beginning:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        begun = self._sequence.generation
        if kind is not None and begun is not None and begun.beginning is self:
            begun.interrupted = StopReason.CANCELLED
