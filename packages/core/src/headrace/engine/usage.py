"""What an engine and its sessions have in memory at the moment."""

from __future__ import annotations

from headrace.engine.engine import Engine
from headrace.engine.state import Sequence
from headrace.errors import UnsupportedError
from headrace.results.machine import MemoryUsage, SessionMemory


def of_engine(engine: Engine) -> MemoryUsage:
    """What the model and its context have taken, between two steps.

    Raises:
        UnsupportedError: If the decoder does not tell.
        ClosedError, DecodeError: If the engine is unusable.
    """
    decoder, info = engine.decoder, engine.info
    if not decoder.tells_memory:
        raise UnsupportedError(
            f"backend {engine.model_info.backend!r} does not tell what memory it has taken",
            backend=engine.model_info.backend,
        )
    devices = engine.exclusively(decoder.device_memory)
    with engine.mutex:
        held = [len(holder.resident) for holder in engine.slots.holders()]
    return MemoryUsage(
        backend=engine.model_info.backend,
        devices=tuple(devices),
        n_ctx=info.n_ctx,
        n_ctx_sequence=info.n_ctx_sequence,
        n_sequences=info.n_sequences,
        resident=len(held),
        cells=sum(held),
    )


def of_sequence(engine: Engine, sequence: Sequence) -> SessionMemory:
    """What a session has in memory."""
    with engine.mutex:
        if sequence.failure is not None:
            raise sequence.failure.again()
        stored = sequence.stored
        return SessionMemory(
            tokens=len(engine.history(sequence)),
            cells=len(sequence.resident),
            stored_bytes=stored.data.nbytes if stored is not None else 0,
            n_ctx_sequence=engine.info.n_ctx_sequence,
        )
