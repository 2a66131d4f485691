"""A session in the child, as its user in the parent sees it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from headrace.bases import SessionBase
from headrace.chat.checking import check_chat
from headrace.chat.stream import ChatStream
from headrace.errors import BusyError, ClosedError
from headrace.machine import SessionMemory
from headrace.params import SamplingParams, SessionParams
from headrace.prompts import check_generation, check_tokens
from headrace.protocols.waist import GenerationReport
from headrace.results import StopReason
from headrace.scores import Score
from headrace.state import StateSource, StateTarget, read_state, write_state
from headrace.state.files import check_target
from headrace.stream import TokenStream
from headrace_subprocess import wire
from headrace_subprocess.calls import Call
from headrace_subprocess.generation import Grip, RemoteGeneration
from headrace_subprocess.handles import rendered_chat
from headrace_subprocess.signals import Note, Signal

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.chat.keywords import ChatKeywords, Messages
    from headrace.infilling import InfillKeywords
    from headrace_subprocess.model import SubprocessModel

_RENDERING = (
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "template",
    "reasoning",
    "template_args",
)


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
        self._lock = threading.RLock()
        self._generations = 0
        self._generation: RemoteGeneration | None = None
        sent = model.sendable(params)
        self._channel = model.worker.open_channel()
        if source is None:
            model.worker.request(self._channel, "open", number, *sent)
        else:
            model.worker.request(self._channel, "fork", source.number, number)

    @property
    def channel(self) -> wire.Channel:
        """Its channel; a new one if an interrupt fell into the middle of a message."""
        if not self._channel.synchronous and not self._closed:
            # The child's thread may be inside a step of a generation that nobody reads.
            note = Note(Signal.CANCEL, self.number, self._generations)
            self.model.worker.signal(note)
            self._channel.close()
            channel = self.model.worker.open_channel()
            self.model.worker.request(channel, "adopt", self.number)
            self._channel = channel
        return self._channel

    @property
    def current_channel(self) -> wire.Channel:
        """The channel as it is."""
        return self._channel

    @contextlib.contextmanager
    def _turn(self) -> Iterator[wire.Channel]:
        """The channel for one request: threads take turns.

        Raises:
            BusyError: For a signal handler inside another request of the same thread.
        """
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise BusyError(
                "the session is at work further down on the same thread's stack",
                hint="In a signal handler, cancel a stream instead.",
            )
        with self._lock:
            yield self.channel

    @property
    def tokens(self) -> list[int]:
        """The history: the prompt tokens processed and the tokens delivered (a copy)."""
        self._check_open()
        generation = self._generation
        if generation is not None and generation.interrupted is not None:
            # The child delivers nothing more: what it remembers is what it is told at the end.
            generation.settle(generation.interrupted, generation.seen, generation.carry)
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
        self._check_idle()
        options = {"sampling": sampling, "max_tokens": max_tokens, "ignore_eog": ignore_eog}
        if prompt is not None and not isinstance(prompt, str):
            prompt = check_tokens("prompt", prompt, self.model.info.n_vocab)
        grip, told = self._begin("generate", (prompt,), options)
        return self._stream(grip, told, stops, timeout)

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
        self._check_idle()
        grip, told = self._begin("infill", (prefix, suffix), dict(request))
        return self._stream(grip, told, stops, timeout)

    def _stream(
        self, grip: Grip, told: dict[str, Any], stops: tuple[str, ...], timeout: float | None
    ) -> TokenStream:
        return TokenStream(
            grip.generation,
            stop=stops,
            timeout=timeout,
            owner=(self, grip),
            model=self.model.info,
            prompt_tokens=told["prompt_tokens"],
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
        self._check_idle()
        grip, told = self._begin("chat", (list(messages),), options)
        rendered = rendered_chat(self.model, told["rendered"])
        stream = self._stream(grip, told, (*stops, *rendered.stops), timeout)
        return ChatStream(
            stream, rendered, prompt_tokens=told["conversation"], reused=told["reused"]
        )

    def _begin(
        self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Grip, dict[str, Any]]:
        """Begin a generation; what the child says of it besides."""
        for use in self.params.uses:
            use.handle.check_open()
        worker = self.model.worker
        with self._turn() as channel:
            if self._generation is not None:
                raise self._busy()  # another thread was faster
            self._generations += 1
            number = self._generations
            told = worker.request(
                channel, "generate", self.number, number, method, list(arguments), options
            )
            grip = Grip(RemoteGeneration(self, number, told["carry"]))
            self._generation = grip.generation
            return grip, told

    def _check_idle(self) -> None:
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
        self, generation: RemoteGeneration, reason: StopReason | None, seen: int, carry: bytes
    ) -> GenerationReport | None:
        """End a generation in the child."""
        if self._closed:
            return None
        with self._turn() as channel:
            if generation.reading:
                # Somebody waits in the channel, or did so when an exception came: the answer
                # would be taken from under the other. Its end wakes a reader too.
                channel.close()
                channel = self.channel
            report: GenerationReport | None = self.model.worker.request(
                channel, "settle", self.number, generation.number, reason, seen, carry
            )
            return report

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
        return await self._scoring(text, top, progress).arun(Score)

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
        with self._turn() as channel:
            worker.send(channel, ("load_state", self.number, len(data)), doing)
            for at in range(0, len(data), wire.PART):
                worker.send(channel, ["part", bytes(data[at : at + wire.PART])], doing)
            worker.answer(channel, doing)

    def _state_parts(self) -> list[bytes | memoryview]:
        self._check_idle()
        parts: list[bytes | memoryview] = []

        def take(kind: str, value: Any) -> None:
            if kind == "part":
                parts.append(memoryview(value))

        with self._turn() as channel:
            self.model.worker.request(channel, "state", self.number, on=take)
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
        with self._turn() as channel:
            self.model.worker.request(channel, "use", self.number, uses)
            self.params = params

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        with self._turn() as channel:
            return self.model.worker.request(
                channel, "session", self.number, method, list(arguments), options
            )

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

    def _check_open(self) -> None:
        self._check_process()
        if self._closed:
            raise ClosedError("the session was closed", backend=self.model.info.backend)
        self.model.check_open()

    def __del__(self) -> None:
        if hasattr(self, "_channel") and not self._closed and self._in_own_process():
            self.model.worker.signal(Note(Signal.DROP, self.number))
