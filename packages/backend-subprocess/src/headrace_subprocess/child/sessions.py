"""A session in the child, and the generation that runs in it."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from headrace.errors import HeadraceError
from headrace.protocols import Session
from headrace.requests.chat import ChatRequest
from headrace.requests.generation import GenerateRequest
from headrace.requests.infill import InfillRequest
from headrace.results import StopReason
from headrace.session import Mark
from headrace.streams.chat import ChatStream
from headrace.streams.generation import Generation, GenerationReport
from headrace.streams.tokens import TokenStream
from headrace_subprocess import wire
from headrace_subprocess.child.reading import ReadAhead
from headrace_subprocess.child.things import told_rendering
from headrace_subprocess.deltas import packed
from headrace_subprocess.files import Socket

Asked = GenerateRequest | ChatRequest | InfillRequest


class Overtaken(Exception):
    """Another request came instead of what belongs to the generation."""

    def __init__(self, message: Any) -> None:
        super().__init__()
        self.message = message


class ServedChannel(wire.Channel):
    """A channel, and whether its thread has ended."""

    def __init__(self, end: Socket) -> None:
        super().__init__(end)
        self.ended = threading.Event()


class ServedSession:
    """A session, driven by the thread of its channel.

    Args:
        session: The backend's own.
        channel: Where the parent talks to it.
    """

    def __init__(self, session: Session, channel: ServedChannel) -> None:
        self.session = session
        self._channel = channel
        self._generation: Generation | None = None
        self._number = 0
        self._interrupted: tuple[int, StopReason] = (0, StopReason.CANCELLED)
        self._seen = 0
        self._past_steps = 0
        self._moving = threading.Lock()

    def move_to(self, channel: ServedChannel) -> None:
        """Belong to another channel, once the thread of the one before has ended."""
        # One after the other: of a parent that asked twice the first channel is closed.
        with self._moving:
            self._channel.ended.wait()
            self._channel = channel

    def stream(
        self,
        channel: wire.Channel,
        number: int,
        request: Asked,
    ) -> GenerationReport | None:
        """Run a generation: deltas as long as there is credit, and its report when settled."""
        stream: TokenStream | ChatStream
        if isinstance(request, ChatRequest):
            stream = self.session.chat_stream(request)
        else:
            stream = self.session.stream(request)
        told = _told(stream)
        ahead = ReadAhead(stream, request.stop)
        generation = stream.generation
        if self._generation is not None:
            self._past_steps += self._generation.counters()[1]
        self._generation, self._number, self._seen = generation, number, 0
        if self._interrupted[0] >= number:
            generation.interrupt(self._interrupted[1])
        channel.send(("answer", told))
        return self._run(channel, generation, ahead)

    def _run(
        self, channel: wire.Channel, generation: Generation, ahead: ReadAhead
    ) -> GenerationReport | None:
        ended, credit = False, 0
        while True:
            message = channel.receive(None if ended or credit <= 0 else 0.0)
            if message is not None:
                if message[0] == "settle":
                    return self.settle(*message[2:])
                if message[0] != "more":
                    # An interrupt fell before the parent knew that it had begun.
                    generation.interrupt(StopReason.CANCELLED)
                    raise Overtaken(message)
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
            channel.send(["delta", packed(ahead.seen(delta))])
            credit -= 1
            ended = ahead.over

    def settle(
        self, number: int, reason: StopReason | None, seen: int, carry: bytes
    ) -> GenerationReport | None:
        """End a generation with what the reader has seen; None if that is none of the last.

        Again it is the same report: the first may have got lost on its way.
        """
        if self._generation is None or number != self._number:
            return None
        return self._generation.settle(reason, seen, carry)

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

    def history(self, what: str) -> Any:
        """The history as tokens, as text, or as what is to be rewound to."""
        if what == "mark":
            return self.session.mark()._place
        return self.session.text if what == "text" else self.session.tokens

    def rewind_to(self, place: Any) -> None:
        """Rewind to what ``history("mark")`` gave."""
        self.session.rewind(to=Mark(place))

    @property
    def steps(self) -> int:
        """Steps of its generations so far."""
        generation = self._generation
        return self._past_steps + (generation.counters()[1] if generation is not None else 0)

    def close(self) -> None:
        """End a running generation, and give the memory back."""
        self.session.close()


def _told(stream: TokenStream | ChatStream) -> dict[str, Any]:
    """What the parent needs to know to go on with a stream that was begun here."""
    told: dict[str, Any] = {
        "carry": stream.generation.carry,
        "prompt_tokens": getattr(stream.generation, "prompt_tokens", None),
    }
    if isinstance(stream, ChatStream):
        told["rendered"] = told_rendering(stream.rendered)
        told["conversation"], told["reused"] = stream.prompt_tokens, stream.reused
    return told
