"""A session in the child, as its user in the parent sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from headrace.bases import SessionBase
from headrace.common.workers import in_worker, let_go
from headrace.errors import BusyError, ClosedError, HeadraceError
from headrace.params import SamplingParams, SessionParams
from headrace.requests.checks import check_generation, check_tokens
from headrace.requests.conversation import check_chat
from headrace.results import StopReason
from headrace.results.machine import SessionMemory
from headrace.results.score import Score
from headrace.state import StateSource, StateTarget, read_state, write_state
from headrace.state.files import check_target
from headrace.streams.chat import ChatStream
from headrace.streams.generation import GenerationReport
from headrace.streams.parser import RenderedChat
from headrace.streams.tokens import TokenStream
from headrace_subprocess import wire
from headrace_subprocess.calls import Call
from headrace_subprocess.exclusion import Exclusion
from headrace_subprocess.generation import Grip, RemoteGeneration
from headrace_subprocess.handles import UnaskedParser, rendered_chat
from headrace_subprocess.patience import Expired
from headrace_subprocess.signals import Note, Signal

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.requests.infill import InfillKeywords
    from headrace.requests.keywords import ChatKeywords, Messages
    from headrace_subprocess.model import SubprocessModel

_Stream = TypeVar("_Stream", TokenStream, ChatStream)
_T = TypeVar("_T")
_RENDERING = (
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "template",
    "reasoning",
    "template_args",
)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


async def _begun(begin: Callable[[], _Stream]) -> _Stream:
    """Begin a stream in a worker thread, as the child is asked for it: one that hangs is left."""
    return await in_worker(begin, cancel=let_go, unwanted=lambda stream: stream.close())


class SubprocessSession(SessionBase):
    """A conversation that lives in the child.

    Args:
        model: Whose session it is.
        params: Its settings.
        number: Its name in the child.
        source: The session it is a fork of, if any.
    """

    def __init__(
        self,
        model: SubprocessModel,
        params: SessionParams,
        number: int,
        source: SubprocessSession | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.params = params
        self.number = number
        self._closed = False
        self._exclusion = Exclusion()
        self._generations = 0
        self._generation: RemoteGeneration | None = None
        # How a generation ended that the child could not be told in time.
        self._unsettled: tuple[Any, ...] | None = None
        sent = model.sendable(params)
        self._channel = model.worker.open_channel()
        if source is None:
            model.worker.request(self._channel, "open", number, *sent)
        else:
            model.worker.request(self._channel, "fork", source.number, number)

    def _whole_channel(self, until: float | None) -> wire.Channel:
        """Its channel; a new one if an interrupt fell into the middle of a message."""
        worker = self.model.worker
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
            worker = self.model.worker
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

    @property
    def tokens(self) -> list[int]:
        """The history: the prompt tokens processed and the tokens delivered (a copy)."""
        self._check_open()
        generation = self._generation
        if generation is not None and generation.interrupted is not None:
            # The child delivers nothing more: what it remembers is what it is told at the end.
            generation.settle(generation.interrupted, generation.seen, generation.carry)
        self._catch_up()
        seen = generation.seen if generation is not None else 0
        tokens: list[int] = self.model.call("tokens", self.number, seen)
        return tokens

    def generate(
        self,
        prompt: str | Sequence[int] | None,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> TokenStream:
        """Append the prompt to the history and stream what follows; see ``Session``."""
        stops = check_generation(sampling, max_tokens, stop, ignore_eog, timeout)
        until = _deadline(timeout)
        self._check_not_busy()
        options = {"sampling": sampling, "max_tokens": max_tokens, "ignore_eog": ignore_eog}
        if prompt is not None and not isinstance(prompt, str):
            prompt = check_tokens("prompt", prompt, self.model.info.n_vocab)
        grip, told = self._begin("generate", (prompt,), options, until)
        return self._stream(grip, told, stops, until)

    def infill(
        self,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> TokenStream:
        """Write what stands between a prefix and a suffix; see ``Session.infill``."""
        self._check_process()
        timeout = request.pop("timeout", None)
        sampling, max_tokens = request.get("sampling"), request.get("max_tokens")
        ignore_eog = request.get("ignore_eog", False)
        stops = check_generation(sampling, max_tokens, request.pop("stop", ()), ignore_eog, timeout)
        until = _deadline(timeout)
        self._check_not_busy()
        grip, told = self._begin("infill", (prefix, suffix), dict(request), until)
        return self._stream(grip, told, stops, until)

    def _stream(
        self,
        grip: Grip,
        told: dict[str, Any] | None,
        stops: tuple[str, ...],
        until: float | None,
    ) -> TokenStream:
        return TokenStream(
            grip.generation,
            stop=stops,
            timeout=None if until is None else max(0.0, until - time.monotonic()),
            owner=(self, grip),
            model=self.model.info,
            prompt_tokens=None if told is None else told["prompt_tokens"],
        )

    def chat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatStream:
        """Answer a conversation; see ``Session.chat``. The child renders and reads."""
        self._check_process()
        sampling, max_tokens = request.get("sampling"), request.get("max_tokens")
        timeout = request.get("timeout")
        stops = check_generation(sampling, max_tokens, request.get("stop", ()), False, timeout)
        options = {
            name: value for name, value in request.items() if name not in ("stop", "timeout")
        }
        rendering = {name: value for name, value in options.items() if name in _RENDERING}
        check_chat(messages, **rendering)
        until = _deadline(timeout)
        self._check_not_busy()
        grip, told = self._begin("chat", (list(messages),), options, until)
        if told is None:
            late = RenderedChat(prompt="", parser=UnaskedParser())
            stream = self._stream(grip, None, stops, until)
            return ChatStream(stream, late, prompt_tokens=0, reused=0)
        rendered = rendered_chat(self.model, told["rendered"], until)
        stream = self._stream(grip, told, (*stops, *rendered.stops), until)
        return ChatStream(
            stream, rendered, prompt_tokens=told["conversation"], reused=told["reused"]
        )

    def _begin(
        self,
        method: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        until: float | None,
    ) -> tuple[Grip, dict[str, Any] | None]:
        """Begin a generation; what the child says of it, None if its time was over before."""
        for use in self.params.uses:
            use.handle.check_open()
        grip: Grip | None = None
        told: dict[str, Any] | None = None

        def begin(channel: wire.Channel) -> None:
            nonlocal grip, told
            if self._generation is not None:
                raise self._busy()  # another thread was faster
            self._generations += 1
            number = self._generations
            # Held before the session knows of it: an interrupt ends what nobody holds.
            grip = Grip(RemoteGeneration(self, number, until))
            told = self.model.worker.request(
                channel,
                *("generate", self.number, number, method, list(arguments), options),
                patience=self.model.worker.patience("generate", until),
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
            grip = Grip(RemoteGeneration(self, 0, until))
        if told is None:
            grip.generation.interrupt(StopReason.TIMED_OUT)
        return grip, told

    def _check_idle(self) -> None:
        self._check_not_busy()
        self._catch_up()

    def _check_not_busy(self) -> None:
        self._check_open()
        generation = self._generation
        if generation is None:
            return
        if generation.interrupted is None and generation.failure is None:
            raise self._busy()
        generation.settle(generation.interrupted, generation.seen, generation.carry)

    def _busy(self) -> BusyError:
        return BusyError(
            "the session has a generation under way",
            hint="End it with stream.cancel(), or open another session.",
            backend=self.model.info.backend,
        )

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
        patience = self.model.worker.patience("settle", until)

        def end(channel: wire.Channel) -> GenerationReport | None:
            if generation.reading:
                # Somebody waits in the channel, or did so when an exception came: the answer
                # would be taken from under the other. Its end wakes a reader too.
                channel.close()
                channel = self._whole_channel(until)
            report: GenerationReport | None = self.model.worker.request(
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

    def rewind(self, *, to: int) -> None:
        """Forget the end of the history; see ``Session``."""
        self._check_idle()
        self._call("rewind", to=to)

    def reset(self) -> None:
        """Forget everything, as if the session were new."""
        self.rewind(to=0)

    def fork(self) -> SubprocessSession:
        """A session with the same history, which goes its own way from here."""
        self._check_idle()
        return self.model.open_fork(self)

    def score(
        self,
        text: str | Sequence[int],
        *,
        top: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Score:
        """How likely a text is after the history; see ``Session``."""
        return self._scoring(text, top, progress).run(Score)

    async def ascore(
        self,
        text: str | Sequence[int],
        *,
        top: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Score:
        """``score`` for a task of asyncio or trio; cancelling the task ends it inside a call."""
        # A generation that was cancelled is settled before, which the child is asked for.
        call = await in_worker(lambda: self._scoring(text, top, progress), cancel=let_go)
        return await in_worker(lambda: call.run(Score), cancel=call.cancel)

    def _scoring(
        self, text: str | Sequence[int], top: int, progress: Callable[[float], object] | None
    ) -> Call:
        self._check_idle()
        if not isinstance(text, str):
            text = check_tokens("text", text, self.model.info.n_vocab)
        return Call(self.model, self.number, "score", [text], {"top": top}, progress)

    def memory_usage(self) -> SessionMemory:
        """What the session has in memory at the moment."""
        self._check_open()
        usage: SessionMemory = self.model.call("session", self.number, "memory_usage", [], {})
        return usage

    def state(self) -> bytes:
        """The session as bytes, for ``load_state``; see ``Session``."""
        return b"".join(self._state_parts())

    def save_state(self, target: StateTarget) -> None:
        """Write the session to a path or an open file, which this process does."""
        check_target(target)
        write_state(target, self._state_parts())

    def load_state(self, source: StateSource) -> None:
        """Become what another session was when it was saved; this process reads the file."""
        self._check_idle()
        data = read_state(source)
        worker, doing = self.model.worker, "loading a state"

        def send(channel: wire.Channel) -> None:
            worker.send(channel, ("load_state", self.number, len(data)), doing)
            for at in range(0, len(data), wire.PART):
                worker.send(channel, ["part", bytes(data[at : at + wire.PART])], doing)
            worker.answer(channel, doing)

        self._in_turn(send)

    def _state_parts(self) -> list[bytes | memoryview]:
        self._check_idle()
        parts: list[bytes | memoryview] = []

        def take(kind: str, value: Any) -> None:
            if kind == "part":
                parts.append(memoryview(value))

        self._in_turn(
            lambda channel: self.model.worker.request(channel, "state", self.number, on=take)
        )
        return parts

    def set_adapters(self, adapters: Iterable[object]) -> None:
        """Compute with these LoRA adapters from the next generation on, and no others."""
        self._change_params(adapters=adapters)

    def set_control_vectors(self, vectors: Iterable[object]) -> None:
        """Compute with these control vectors from the next generation on, and no others."""
        self._change_params(control_vectors=vectors)

    def _change_params(self, **changes: Any) -> None:
        self._check_process()
        params = attrs.evolve(self.params, **changes)
        _, uses = self.model.sendable(params)
        self._check_idle()

        def use(channel: wire.Channel) -> None:
            self.model.worker.request(channel, "use", self.number, uses)
            self.params = params

        self._in_turn(use)

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._in_turn(
            lambda channel: self.model.worker.request(
                channel, "session", self.number, method, list(arguments), options
            )
        )

    def _described(self) -> str:
        state = "idle" if self._generation is None else "generating"
        state = "closed" if self._closed else state
        return f"of {self.model.info.name!r} in process {self.model.worker.pid}: {state}"

    def close(self) -> None:
        """End a running generation with ``ClosedError`` and give the memory back."""
        if self._closed or not self._in_own_process():
            return
        self._closed = True
        generation = self._generation
        if generation is not None and generation.failure is None:
            generation.failure = ClosedError("the session was closed")
        self.model.worker.signal(Note(Signal.DROP, self.number))
        self._channel.close()

    async def aclose(self) -> None:
        """The same for a task; it waits for nothing."""
        self.close()

    async def agenerate(self, *arguments: Any, **request: Any) -> TokenStream:
        """``generate`` for a task of asyncio or trio."""
        return await _begun(lambda: self.generate(*arguments, **request))

    async def ainfill(self, *arguments: Any, **request: Any) -> TokenStream:
        """``infill`` for a task of asyncio or trio."""
        return await _begun(lambda: self.infill(*arguments, **request))

    async def achat(self, *arguments: Any, **request: Any) -> ChatStream:
        """``chat`` for a task of asyncio or trio."""
        return await _begun(lambda: self.chat(*arguments, **request))

    def _check_open(self) -> None:
        self._check_process()
        if self._closed:
            raise ClosedError("the session was closed", backend=self.model.info.backend)
        self.model.check_open()

    def __del__(self) -> None:
        if hasattr(self, "_channel") and not self._closed and self._in_own_process():
            self.model.worker.signal(Note(Signal.DROP, self.number))
