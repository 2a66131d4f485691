"""A session in the child, as its user in the parent sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.bases import SessionBase
from headrace.errors import BusyError, ClosedError
from headrace.params import SamplingParams, SessionParams
from headrace.prompts import check_generation, check_tokens
from headrace.protocols.waist import GenerationReport
from headrace.results import StopReason
from headrace.stream import TokenStream
from headrace_subprocess import wire
from headrace_subprocess.generation import RemoteGeneration
from headrace_subprocess.signals import Note, Signal

if TYPE_CHECKING:
    from headrace_subprocess.model import SubprocessModel


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
        self._generations = 0
        self._generation: RemoteGeneration | None = None
        self._channel = model.worker.open_channel()
        try:
            if source is None:
                model.worker.request(self._channel, "open", number, params)
            else:
                model.worker.request(self._channel, "fork", source.number, number)
        except BaseException:
            self._channel.close()
            raise

    @property
    def channel(self) -> wire.Channel:
        """Its channel; a new one if an interrupt fell into the middle of a message."""
        if not self._channel.synchronous and not self._closed:
            self._channel.close()
            self._channel = self.model.worker.open_channel()
            self.model.worker.request(self._channel, "adopt", self.number)
        return self._channel

    @property
    def tokens(self) -> list[int]:
        """The history: the prompt tokens processed and the tokens delivered (a copy)."""
        self._check_open()
        seen = self._generation.seen if self._generation is not None else 0
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
        self._generations += 1
        carry = self._begin(prompt, options)
        generation = RemoteGeneration(self, self._generations, carry)
        self._generation = generation
        return TokenStream(
            generation, stop=stops, timeout=timeout, owner=self, model=self.model.info
        )

    def _begin(self, prompt: Any, options: dict[str, Any]) -> bytes:
        worker, channel = self.model.worker, self.channel
        try:
            channel.send(("generate", self.number, self._generations, prompt, options))
        except wire.Disconnected:
            raise worker.crashed("beginning to generate") from None
        kind, value = worker.receive(channel, "beginning to generate")
        if kind == "error":
            raise value
        assert isinstance(value, bytes)
        return value

    def _check_idle(self) -> None:
        self._check_open()
        generation = self._generation
        if generation is None:
            return
        if generation.interrupted is None and generation.failure is None:
            raise BusyError(
                "the session has a generation under way",
                hint="End it with stream.cancel(), or open another session.",
                backend=self.model.info.backend,
            )
        generation.settle(generation.interrupted, generation.seen, generation.carry)

    def settle(self, reason: StopReason | None, seen: int, carry: bytes) -> GenerationReport | None:
        """End the running generation in the child."""
        if self._closed:
            return None
        report: GenerationReport | None = self.model.worker.request(
            self.channel, "settle", self.number, reason, seen, carry
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

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self.model.worker.request(
            self.channel, "session", self.number, method, list(arguments), options
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
        if generation is None:
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
