"""Tier 1 for free: sessions, streaming and batching over a ``SequenceDecoder``.

Whoever pulls, drives: there is no background thread. A consumer that asks its
stream for more takes what is buffered, or runs one step for everybody, or
waits for the consumer that is running one.

``model`` and ``session`` are what callers hold; ``generation`` is what a
stream reads; ``scheduler`` owns the decoder and decides who drives; ``planner``
chooses the rows of a step; ``sequence`` mirrors what the memory holds.
"""

from headrace.engine.model import EngineModel

__all__ = ["EngineModel"]
