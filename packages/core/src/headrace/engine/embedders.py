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
from headrace.common.work import Work
from headrace.engine.checked import PATIENCE
from headrace.engine.checked_embedder import CheckedEmbedder
from headrace.engine.texts import batches
from headrace.errors import ClosedError, DecodeError
from headrace.params import EngineParams

_T = TypeVar("_T")


class Place:
    """An embedder that threads take turns in."""

    def __init__(self, embedder: CheckedEmbedder) -> None:
        self.embedder = embedder
        self._turn = threading.Lock()
        self._ids = itertools.count(1)

    def run(self, texts: Sequence[Sequence[int]], work: Work) -> list[array[float]]:
        """The vectors of all texts, in as few native calls as they fit into.

        Raises:
            ClosedError: If the model is closed meanwhile.
            DecodeError: If the computation failed.
            Cancelled: If the work was cancelled.
        """
        done: list[array[float]] = []
        for batch in batches(texts, self.embedder.info):
            done += self._vectors(batch, work)
            work.report(len(done) / len(texts))
        return done

    def _vectors(self, batch: Sequence[Sequence[int]], work: Work) -> list[array[float]]:
        for _ in range(PATIENCE):
            with self._turn:
                vectors = self._call(next(self._ids), batch, work)
            if vectors is not None:
                return vectors
            # interrupted, but not by this work: once more
        raise self.embedder.stuck()

    def _call(
        self, call_id: int, batch: Sequence[Sequence[int]], work: Work
    ) -> list[array[float]] | None:
        return work.call(
            lambda: self.embedder.embed(call_id, batch), lambda: self.embedder.interrupt(call_id)
        )


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
        self._places: dict[Pooling, Place] = {}
        self._closed = False

    def use(self, pooling: Pooling, action: Callable[[Place], _T]) -> _T:
        """What an action makes of the embedder for a pooling, opened if need be.

        Raises:
            ClosedError: If the model was closed.
            ModelMemoryError: If a new context's memory cannot be had.
        """
        place = self._place(pooling)
        try:
            return action(place)
        except DecodeError as error:
            if error.poisoned and self._places.get(pooling) is place:
                del self._places[pooling]
                place.embedder.close()
            raise

    def _place(self, pooling: Pooling) -> Place:
        with self._opening:
            place = self._places.get(pooling)
            if place is None:
                with self._seam.during("open_embedder"):
                    embedder = self._model.open_embedder(self._params, pooling)
                place = Place(CheckedEmbedder(embedder, self._seam))
                self._places[pooling] = place
        # Closing takes no lock: a signal handler may do it while this thread opens.
        if self._closed:
            place.embedder.close()
            raise ClosedError("the model was closed")
        return place

    def close(self) -> None:
        """Close them all; calls that run in them end early."""
        self._closed = True
        for place in list(self._places.values()):
            place.embedder.close()
