"""Sessions to and from ``SessionState``: what they are made of, with or without memory.

Saving takes the memory as it is in the decoder, by a call of its own. Loading
touches no decoder: the history is replaced at once, and the memory that came
with it waits in ``Sequence.stored`` until the sequence is seated, as one does
that was evicted. Where it cannot be read back the history is computed again.
"""

from __future__ import annotations

from headrace.engine.engine import Engine
from headrace.engine.line import Line
from headrace.engine.state import Sequence, StoredMemory
from headrace.errors import ContextFullError, StateError
from headrace.state.container import SessionState, check_identity


def save(engine: Engine, sequence: Sequence) -> SessionState:
    """The state of an idle sequence, as it is when the decoder is free.

    Raises:
        BusyError: If a generation is under way.
        ClosedError, DecodeError: If the sequence is unusable.
    """
    engine.check_idle(sequence)
    return engine.exclusively(lambda: _save(engine, sequence))


def _save(engine: Engine, sequence: Sequence) -> SessionState:
    with engine.mutex:
        engine.check_idle(sequence)
        if sequence.slot is not None and sequence.stored is None:
            engine.slots.bring_in_line(sequence)  # what was computed ahead is not remembered
        tokens, cuts, carry = list(sequence.line), list(sequence.cuts), sequence.carry
        stored, length = sequence.stored, len(sequence.resident)
    # The history may change from here on; the memory does not, while the role is held.
    memory = memoryview(b"")
    if stored is not None:
        # Not read back yet. It may be longer than the history by now, and then stays behind.
        if stored.tokens == tokens[: len(stored.tokens)] and not stored.adapters:
            memory, length = stored.data, len(stored.tokens)
    elif length and not sequence.resident_adapters:
        # Nothing says on loading that adapters are the same: their sessions save the history alone.
        memory = engine.slots.write_down(sequence)
    return SessionState(
        identity=identity(engine),
        reproducible=sequence.reproducible and not sequence.disturbed(engine.info),
        width=sequence.width,
        tokens=tokens,
        cuts=cuts,
        carry=carry,
        memory_length=length if memory else 0,
        memory=memory,
    )


def load(engine: Engine, sequence: Sequence, state: SessionState) -> None:
    """Give an idle sequence the history of a state, and its memory if there is one.

    Raises:
        StateError: If the state does not belong to this model; nothing was changed.
        ContextFullError: If its history does not fit; nothing was changed.
        BusyError: If a generation is under way.
    """
    check_identity(state.identity, identity(engine))
    n_tokens, limit = engine.vocabulary.n_tokens, engine.info.n_ctx_sequence
    if any(not 0 <= token < n_tokens for token in state.tokens):
        raise StateError("the state has a token that is not in the vocabulary")
    # A generation that ended because the context was full left one token more than fits.
    if len(state.tokens) > limit + 1:
        raise ContextFullError(
            f"the state's history of {len(state.tokens)} tokens does not fit: the context "
            f"holds {limit}",
            n_tokens=len(state.tokens),
            n_ctx=limit,
            hint="Raise EngineParams.n_ctx.",
            backend=engine.model_info.backend,
        )
    stored = None
    # What was computed beside others, or in other widths, cannot be repeated to the last bit.
    repeatable = state.reproducible and state.width == sequence.width
    usable = not sequence.adapters and (repeatable or not sequence.reproducible)
    if state.memory_length and usable:
        stored = StoredMemory(state.tokens[: state.memory_length], state.memory)
    with engine.mutex:
        engine.check_idle(sequence)
        sequence.in_line = False
        sequence.line = Line(state.tokens)
        sequence.resident_dropped = 0
        sequence.cuts = list(state.cuts) if sequence.reproducible else []
        sequence.carry = state.carry
        sequence.stored = stored


def identity(engine: Engine) -> dict[str, str]:
    """What a state must have in common with the engine that loads it."""
    info, decoder = engine.model_info, engine.decoder
    own = {"backend": info.backend, "build": info.build}
    if decoder.keeps_state:
        return own | decoder.state_key
    return own | {"model": f"{info.name}, {info.description}, {info.n_vocab} tokens"}
