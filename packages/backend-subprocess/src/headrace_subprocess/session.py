"""A session in the child, as its user in the parent sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from headrace.common.work import Work
from headrace.errors import ClosedError, HeadraceError
from headrace.params import SessionParams
from headrace.requests.chat import ChatRequest
from headrace.requests.generation import GenerateRequest, GenerationRequest
from headrace.requests.infill import InfillRequest
from headrace.requests.score import ScoreRequest
from headrace.results import StopReason
from headrace.results.machine import SessionMemory
from headrace.results.score import Score
from headrace.session import Owner, Session
from headrace.streams.generation import Begun, BegunChat, GenerationReport
from headrace.streams.parser import NoParser, RenderedChat
from headrace_subprocess import wire
from headrace_subprocess.client import Client
from headrace_subprocess.exclusion import Exclusion
from headrace_subprocess.generation import Grip, RemoteGeneration
from headrace_subprocess.handles import rendered_chat
from headrace_subprocess.patience import Expired
from headrace_subprocess.signals import Note, Signal

_T = TypeVar("_T")


def _sendable(params: SessionParams) -> tuple[SessionParams, list[Any]]:
    """A session's params for the child, without and with only what lives there."""
    uses = [
        [
            use.handle.loaded.number,  # type: ignore[attr-defined]
            use.scale,
            getattr(use, "first_layer", None),
            getattr(use, "last_layer", None),
        ]
        for use in params.uses
    ]
    return attrs.evolve(params, adapters=(), control_vectors=()), uses


class SubprocessSession(Session):
    """A conversation that lives in the child.

    Args:
        model: Whose session it is.
        client: The connection to the child.
        params: Its settings.
        source: The session it is a fork of, if any.
    """

    _leaves_hung_begin = True

    def __init__(
        self,
        model: Owner,
        client: Client,
        params: SessionParams,
        source: SubprocessSession | None = None,
    ) -> None:
        super().__init__(model, params)
        self.client = client
        self.number = client.next_number()
        self._exclusion = Exclusion()
        self._generations = 0
        self._generation: RemoteGeneration | None = None
        # How a generation ended that the child could not be told in time.
        self._unsettled: tuple[Any, ...] | None = None
        sent = _sendable(params)
        self._channel = client.worker.open_channel()
        if source is None:
            client.worker.request(self._channel, "open", self.number, *sent)
        else:
            client.worker.request(self._channel, "fork", source.number, self.number)

    def _whole_channel(self, until: float | None) -> wire.Channel:
        """Its channel; a new one if an interrupt fell into the middle of a message."""
        worker = self.client.worker
        if not self._channel.synchronous and not self._closed:
            # The child's thread may be inside a step of a generation that nobody reads.
            worker.signal(Note(Signal.CANCEL, self.number, self._generations))
            self._channel.close()
            channel = worker.open_channel(worker.patience("adopt", until))
            try:
                worker.request(
                    channel, "adopt", self.number, patience=worker.patience("adopt", until)
                )
            except BaseException:
                channel.close()  # or the child's thread would wait in it
                raise
            self._channel = channel
        return self._channel

    @property
    def current_channel(self) -> wire.Channel:
        """The channel as it is."""
        return self._channel

    def _in_turn(self, action: Callable[[wire.Channel], _T], until: float | None = None) -> _T:
        """Make one request over the channel when it is this thread's turn.

        Args:
            action: Makes it.
            until: The caller's deadline on the monotonic clock.

        Raises:
            BusyError: For a signal handler inside another request of the same thread.
            Expired: If the deadline passes.
        """

        def request() -> _T:
            channel = self._whole_channel(until)
            self._settle_late(channel, until)
            return action(channel)

        return self._exclusion.run(request, until)

    def _settle_late(self, channel: wire.Channel, until: float | None) -> None:
        """Tell the child how a generation ended while it did not answer."""
        if self._unsettled is not None:
            worker = self.client.worker
            patience = worker.patience("settle", until)
            try:
                worker.request(channel, "settle", self.number, *self._unsettled, patience=patience)
            except HeadraceError:
                self._unsettled = None
                raise
            self._unsettled = None

    def _catch_up(self, until: float | None = None) -> None:
        """Have the child know all that happened here, before it is asked on another channel."""
        if self._unsettled is not None:
            self._in_turn(lambda channel: None, until)

    def _tokens(self) -> list[int]:
        tokens: list[int] = self._history("tokens")
        return tokens

    def _text(self) -> str:
        text: str = self._history("text")
        return text

    def _mark(self) -> Any:
        return self._history("mark")

    def _rewind_to(self, place: Any) -> None:
        self._call("rewind_to", place)

    def _history(self, what: str) -> Any:
        """The history in the child, with what the reader here has seen of a generation."""
        generation = self._generation
        if generation is not None and generation.interrupted is not None:
            # The child delivers nothing more: what it remembers is what it is told at the end.
            generation.settle(generation.interrupted, generation.seen, generation.carry)
        self._catch_up()
        seen = generation.seen if generation is not None else 0
        return self.client.call("history", self.number, what, seen)

    def _begin(self, request: GenerateRequest | ChatRequest | InfillRequest) -> Begun:
        until = None if request.timeout is None else time.monotonic() + request.timeout
        grip, told = self._ask_to_begin(request, until)
        if not isinstance(request, ChatRequest):
            known = None if told is None else told["prompt_tokens"]
            return Begun(grip.generation, known, keep=grip)
        if told is None:
            late = RenderedChat(prompt="", parser=NoParser())
            return Begun(grip.generation, None, BegunChat(late), grip)
        rendered = rendered_chat(told["rendered"], NoParser())  # the child reads the answer
        chat = BegunChat(rendered, prompt_tokens=told["conversation"], reused=told["reused"])
        return Begun(grip.generation, told["prompt_tokens"], chat, grip)

    def _ask_to_begin(
        self, request: GenerationRequest, until: float | None
    ) -> tuple[Grip, dict[str, Any] | None]:
        """Begin a generation; what the child says of it, None if its time was over before."""
        for use in self.params.uses:
            use.handle.check_open()
        sent = attrs.evolve(request, timeout=None)  # that is kept here
        grip: Grip | None = None
        told: dict[str, Any] | None = None

        def begin(channel: wire.Channel) -> None:
            nonlocal grip, told
            if self._generation is not None:
                raise self._busy()  # another thread was faster
            self._generations += 1
            number = self._generations
            # Held before the session knows of it: an interrupt ends what nobody holds.
            grip = Grip(RemoteGeneration(self, self.params, number, until))
            told = self.client.worker.request(
                channel,
                *("generate", self.number, number, sent),
                patience=self.client.worker.patience("generate", until),
            )
            grip.generation.began(told["carry"], told["prompt_tokens"])
            self._generation = grip.generation

        try:
            self._in_turn(begin, until)
        except Expired:
            # The child may begin it yet, unless it was not even asked to.
            if grip is not None:
                self._generation = grip.generation
        if grip is None:
            grip = Grip(RemoteGeneration(self, self.params, 0, until))
        if told is None:
            grip.generation.interrupt(StopReason.TIMED_OUT)
        return grip, told

    def _is_busy(self) -> bool:
        generation = self._generation
        if generation is None:
            return False
        if generation.interrupted is None and generation.failure is None:
            return True
        generation.settle(generation.interrupted, generation.seen, generation.carry)
        return False

    def _check_open(self) -> None:
        super()._check_open()
        if self.client.closed:
            raise self.client.closed_error()

    def settle(
        self,
        generation: RemoteGeneration,
        reason: StopReason | None,
        seen: int,
        carry: bytes,
        until: float,
    ) -> GenerationReport | None:
        """End a generation in the child; None if that cannot be done until then.

        The child is told later in that case, before it is asked for anything else.
        """
        if self._closed or not generation.number:
            return None
        ending = (generation.number, reason, seen, carry)
        patience = self.client.worker.patience("settle", until)

        def end(channel: wire.Channel) -> GenerationReport | None:
            if generation.reading:
                # Somebody waits in the channel, or did so when an exception came: the answer
                # would be taken from under the other. Its end wakes a reader too.
                channel.close()
                channel = self._whole_channel(until)
            report: GenerationReport | None = self.client.worker.request(
                channel, "settle", self.number, *ending, patience=patience
            )
            return report

        try:
            return self._in_turn(end, until)
        except Expired:
            self._unsettled = ending
            return None

    def ended(self, generation: RemoteGeneration) -> None:
        """A generation was settled."""
        if self._generation is generation:
            self._generation = None

    def _rewind(self, to: int) -> None:
        self._call("rewind", to=to)

    def _fork(self) -> SubprocessSession:
        self._catch_up()
        return SubprocessSession(self._owner, self.client, self.params, self)

    def _score(self, request: ScoreRequest, work: Work) -> Score:
        self._catch_up()
        return self.client.work(work, self.number, request, Score)

    def _memory_usage(self) -> SessionMemory:
        usage: SessionMemory = self.client.call("session", self.number, "memory_usage", [], {})
        return usage

    def _load(self, state: memoryview) -> None:
        worker, doing = self.client.worker, "loading a state"

        def send(channel: wire.Channel) -> None:
            worker.send(channel, ("load_state", self.number, len(state)), doing)
            for at in range(0, len(state), wire.PART):
                worker.send(channel, ["part", bytes(state[at : at + wire.PART])], doing)
            worker.answer(channel, doing)

        self._in_turn(send)

    def _save(self) -> list[bytes | memoryview]:
        parts: list[bytes | memoryview] = []

        def take(kind: str, value: Any) -> None:
            if kind == "part":
                parts.append(memoryview(value))

        self._in_turn(
            lambda channel: self.client.worker.request(channel, "state", self.number, on=take)
        )
        return parts

    def _use(self, params: SessionParams) -> None:
        _, uses = _sendable(params)

        def use(channel: wire.Channel) -> None:
            self.client.worker.request(channel, "use", self.number, uses)
            self.params = params

        self._in_turn(use)

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._in_turn(
            lambda channel: self.client.worker.request(
                channel, "session", self.number, method, list(arguments), options
            )
        )

    def _described(self) -> str:
        state = "idle" if self._generation is None else "generating"
        state = "closed" if self._closed else state
        return f"of {self.client.info.name!r} in process {self.client.worker.pid}: {state}"

    def _close(self) -> None:
        generation = self._generation
        if generation is not None and generation.failure is None:
            generation.failure = ClosedError("the session was closed")
        self.client.worker.signal(Note(Signal.DROP, self.number))
        self._channel.close()

    def _is_quick(self, call: str) -> bool:
        return call == "close"  # it waits for nothing

    def __del__(self) -> None:
        if hasattr(self, "_channel") and not self._closed and self._in_own_process():
            self.client.worker.signal(Note(Signal.DROP, self.number))
