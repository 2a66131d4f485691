"""The embedders of a model, and the work that is done with them.

There is no thread here either: whoever asks for vectors computes them. Threads
that ask one embedder at the same time take turns, one native call each.
"""

from __future__ import annotations

import itertools
import threading
from array import array
from collections.abc import Callable, Sequence
from typing import TypeVar

from headrace.backend.abilities import EmbeddingModel, Pooling
from headrace.common.seam import Seam
from headrace.engine.checked import PATIENCE
from headrace.engine.checked_embedder import CheckedEmbedder
from headrace.engine.texts import batches
from headrace.errors import ClosedError, DecodeError
from headrace.params import EngineParams

Progress = Callable[[float], object]
_T = TypeVar("_T")


class Cancelled(BaseException):
    """The work was cancelled; whoever did that is no longer waiting for what it would give."""


class Work:
    """One caller's vectors in the making, which any thread may cancel."""

    def __init__(self) -> None:
        self._cancelled = False
        self._running: tuple[CheckedEmbedder, int] | None = None

    def cancel(self) -> None:
        """End the work, inside a native call too. Takes no lock."""
        self._cancelled = True
        running = self._running
        if running is not None:
            running[0].interrupt(running[1])

    def call(
        self, embedder: CheckedEmbedder, call_id: int, texts: Sequence[Sequence[int]]
    ) -> list[array[float]] | None:
        """One native call; None if it was interrupted."""
        try:
            # Noted first: a cancel that comes from here on finds the call, or is seen below.
            self._running = (embedder, call_id)
            if self._cancelled:
                raise Cancelled
            return embedder.embed(call_id, texts)
        finally:
            self._running = None


class Slot:
    """An embedder that threads take turns in."""

    def __init__(self, embedder: CheckedEmbedder) -> None:
        self.embedder = embedder
        self._turn = threading.Lock()
        self._ids = itertools.count(1)

    def run(
        self, texts: Sequence[Sequence[int]], work: Work, progress: Progress | None
    ) -> list[array[float]]:
        """The vectors of all texts, in as few native calls as they fit into.

        Raises:
            ClosedError: If the model is closed meanwhile.
            DecodeError: If the computation failed.
            Cancelled: If the work was cancelled.
        """
        done: list[array[float]] = []
        for batch in batches(texts, self.embedder.info):
            done += self._vectors(batch, work)
            if progress is not None:
                progress(len(done) / len(texts))
        return done

    def _vectors(self, batch: Sequence[Sequence[int]], work: Work) -> list[array[float]]:
        for _ in range(PATIENCE):
            with self._turn:
                vectors = work.call(self.embedder, next(self._ids), batch)
            if vectors is not None:
                return vectors
            # interrupted, but not by this work: once more
        raise self.embedder.stuck()


class Embedders:
    """The embedders of one model: one for each pooling that was asked for.

    Args:
        model: What opens them.
        params: Settings of their contexts.
        seam: Names the backend for what it does wrong.
    """

    def __init__(self, model: EmbeddingModel, params: EngineParams, seam: Seam) -> None:
        self._seam = seam
        self._model = model
        self._params = params
        self._opening = threading.Lock()
        self._slots: dict[Pooling, Slot] = {}
        self._closed = False

    def use(self, pooling: Pooling, action: Callable[[Slot], _T]) -> _T:
        """What an action makes of the embedder for a pooling, opened if need be.

        Raises:
            ClosedError: If the model was closed.
            ModelMemoryError: If a new context's memory cannot be had.
        """
        slot = self._slot(pooling)
        try:
            return action(slot)
        except DecodeError as error:
            if error.poisoned and self._slots.get(pooling) is slot:
                del self._slots[pooling]
                slot.embedder.close()
            raise

    def _slot(self, pooling: Pooling) -> Slot:
        with self._opening:
            slot = self._slots.get(pooling)
            if slot is None:
                with self._seam.during("open_embedder"):
                    embedder = self._model.open_embedder(self._params, pooling)
                slot = Slot(CheckedEmbedder(embedder, self._seam))
                self._slots[pooling] = slot
        # Closing takes no lock: a signal handler may do it while this thread opens.
        if self._closed:
            slot.embedder.close()
            raise ClosedError("the model was closed")
        return slot

    def close(self) -> None:
        """Close them all; calls that run in them end early."""
        self._closed = True
        for slot in list(self._slots.values()):
            slot.embedder.close()
