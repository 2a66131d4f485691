"""A session in the child, and the generation that runs in it."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from headrace.errors import HeadraceError
from headrace.protocols import Session
from headrace.protocols.waist import Delta, Generation, GenerationReport
from headrace.results import StopReason
from headrace_subprocess import wire


class ServedSession:
    """A session, driven by the thread of its channel.

    Args:
        session: The backend's own.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.idle = threading.Event()
        """Set while no thread is inside a generation."""
        self.idle.set()
        self._generation: Generation | None = None
        self._number = 0
        self._interrupted: tuple[int, StopReason] = (0, StopReason.CANCELLED)
        self._seen = 0
        self._past_steps = 0

    def stream(
        self, channel: wire.Channel, number: int, prompt: Any, options: dict[str, Any]
    ) -> GenerationReport | None:
        """Run a generation: deltas as long as there is credit, and its report when settled."""
        self.idle.clear()
        try:
            stream = self.session.generate(prompt, **options)
            generation = stream.generation
            self._generation, self._number, self._seen = generation, number, 0
            if self._interrupted[0] >= number:
                generation.interrupt(self._interrupted[1])
            channel.send(("begun", generation.carry))
            return self._run(channel, generation)
        finally:
            self.idle.set()

    def _run(self, channel: wire.Channel, generation: Generation) -> GenerationReport | None:
        ended, credit = False, 0
        while True:
            message = channel.receive(None if ended or credit <= 0 else 0.0)
            if message is not None:
                if message[0] == "settle":
                    return self.settle(*message[2:])
                credit += message[1]
                self.note_seen(message[2])
                continue
            try:
                delta = generation.pull(None)
            except HeadraceError as error:
                channel.send(("failed", error))
                ended = True
                continue
            assert delta is not None, "a pull without a limit brings something"
            channel.send(("delta", _packed(delta)))
            credit -= 1
            ended = delta.end is not None

    def settle(self, reason: StopReason | None, seen: int, carry: bytes) -> GenerationReport | None:
        """End the generation with what the reader has seen; None if there is none."""
        generation, self._generation = self._generation, None
        if generation is None:
            return None
        self._past_steps += generation.counters()[1]
        return generation.settle(reason, seen, carry)

    def interrupt(self, number: int, reason: StopReason) -> None:
        """End that generation early, or the moment it begins; an older one is over already."""
        self._interrupted = (number, reason)
        generation = self._generation
        if generation is not None and self._number <= number:
            generation.interrupt(reason)

    def note_seen(self, seen: int) -> None:
        """Tell a running generation how far its reader is."""
        generation = self._generation
        if generation is not None and seen > self._seen:
            with contextlib.suppress(HeadraceError):
                generation.deliver(seen - self._seen)
                self._seen = seen

    @property
    def steps(self) -> int:
        """Steps of its generations so far."""
        generation = self._generation
        return self._past_steps + (generation.counters()[1] if generation is not None else 0)

    def close(self) -> None:
        """End a running generation, and give the memory back."""
        self.session.close()


def _packed(delta: Delta) -> list[Any]:
    """A delta as plain lists: there is one for every token."""
    end = None if delta.end is None else delta.end.value
    pieces = [
        [piece.token, piece.data]
        if piece.logprob is None
        else [piece.token, piece.data, piece.logprob]
        for piece in delta.pieces
    ]
    return [pieces, end]
