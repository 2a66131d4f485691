"""Tier 1 for free: sessions, streaming and batching over a ``SequenceDecoder``.

Whoever pulls, drives: there is no background thread. A consumer that asks its
stream for more takes what is buffered, or runs one step for everybody, or
waits for the consumer that is running one.

Its modules from the ground up, none of which imports one below it in this list:

- ``line``, ``pacing``, ``waiting``, ``drafters``, ``tally``, ``checked``: tokens in order, how much
  to draft, how others wait, what drafts, what a generation cost, a decoder that is looked after.
- ``state``: what there is, and who may touch what: sequences, the records of running generations,
  steps on their way, and what the parts of one engine share.
- ``fairness`` who takes part in a step, ``slots`` who is in memory, ``drafting`` who gets a draft,
  ``steps`` which rows there are and what is made of their results, ``role`` who drives.
- ``reports`` and ``endings``: how streams, sessions and the engine end.
- ``driver``: one step, or one call beside steps. ``readers``: who asks for tokens and waits.
- ``engine``: what sessions hold, made of these parts; ``generation``: what a stream holds.
- ``scoring``, ``saving``, ``usage``: calls beside steps. ``session`` and ``model``: the faces.
"""

from headrace.engine.model import EngineModel

__all__ = ["EngineModel"]
