"""Tier 1 for free: sessions, streaming and batching over a ``SequenceDecoder``.

Whoever pulls, drives: there is no background thread. A consumer that asks its
stream for more takes what is buffered, or runs one step for everybody, or
waits for the consumer that is running one.

``model`` and ``session`` are what callers hold; ``generation`` is what a
stream reads; ``scheduler`` is the engine they share, over ``driving``, which
runs one step after the other: ``role`` says who drives, ``waiting`` how others
wait, ``fairness`` who takes part, ``slots`` who is in memory, and ``steps``
plans the rows and hands the results out. ``sequence`` mirrors what memory holds.
"""

from headrace.engine.model import EngineModel

__all__ = ["EngineModel"]
