"""Small situations of the engine, written down: sequences, generations, a decoder that notes."""

from __future__ import annotations

from typing import Any

import attrs

from headrace import SamplingParams, SessionParams
from headrace.backend.decoder import DecoderInfo, RowResult, Truncation
from headrace.engine.checked import CheckedDecoder
from headrace.engine.line import Line
from headrace.engine.state import Run, Sequence

GREEDY = SamplingParams(temperature=0.0)


def idle(line: Any = (), **fields: Any) -> Sequence:
    """A sequence without a generation; ``fields`` are its own or its session's."""
    own = {name: fields.pop(name) for name in list(fields) if name in attrs.fields_dict(Sequence)}
    sequence = Sequence(SessionParams(**fields), line=Line(line), room=100)
    for name, value in own.items():
        setattr(sequence, name, value)
    return sequence


def begin(sequence: Sequence, prompt: Any = (), **fields: Any) -> Run:
    """Begin a generation as the engine does; ``fields`` are its record's."""
    asked = {name: fields.pop(name, None) for name in ("max_tokens",)}
    run = Run(
        sequence=sequence,
        prompt_tokens=len(prompt),
        sampling=fields.pop("sampling", GREEDY),
        seed=0,
        ignore_eog=fields.pop("ignore_eog", False),
        spoken={},
        beginning=None,
        **asked,
    )
    sequence.line.extend(prompt)
    sequence.generation = run
    for name, value in fields.items():
        setattr(run, name, value)
    return run


def running(prompt: Any = (1, 2, 3), *, run: dict[str, Any] | None = None, **fields: Any):
    """A sequence with a generation that nobody waits for, unless ``run`` says so."""
    sequence = idle(**fields)
    begin(sequence, prompt, **(run or {}))
    return sequence


class NotingSampler:
    """Chooses nothing."""

    def close(self) -> None:
        """Holds nothing."""


class NotingDecoder:
    """Notes what is done to its memory, and does as it is told about refusals."""

    def __init__(self, keeps: int | None = None, **info: Any) -> None:
        self.info = DecoderInfo(
            **{
                "n_ctx": 100,
                "n_ctx_sequence": 100,
                "n_sequences": 2,
                "n_batch": 32,
                "truncation": Truncation.ANY,
                "can_copy": False,
                "interruptible": True,
                **info,
            }
        )
        self.calls: list[tuple[Any, ...]] = []
        self._keeps = keeps

    def new_sampler(self, params, *, seed, recent, ban_eog):
        """One that chooses nothing."""
        self.calls.append(("new_sampler", tuple(recent)))
        return NotingSampler()

    def open_apart(self):
        """Has made them already."""

    def truncate(self, sequence, length):
        """Keeps what it was told to, or what is asked for."""
        self.calls.append(("truncate", sequence, length))
        return length if self._keeps is None else self._keeps

    def clear(self, sequence):
        """Forgets."""
        self.calls.append(("clear", sequence))

    def copy(self, source, target, length):
        """Copies all."""
        self.calls.append(("copy", source, target, length))
        return length

    def shift(self, sequence, start, stop):
        """Shifts."""
        self.calls.append(("shift", sequence, start, stop))
        return True


def noting(**options: Any) -> tuple[NotingDecoder, CheckedDecoder]:
    """Such a decoder, and what the engine sees of it."""
    raw = NotingDecoder(**options)
    return raw, CheckedDecoder(raw, n_tokens=1000, backend="noting")


def result(length: int, *tokens: int, **fields: Any) -> RowResult:
    """What came of a row."""
    return RowResult(length, tokens, **fields)
