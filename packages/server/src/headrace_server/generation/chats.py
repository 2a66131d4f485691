"""Answers to a conversation, for whichever interface asks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import msgspec

from headrace.common.workers import in_worker
from headrace.errors import GrammarError
from headrace.grammar import JsonSchema
from headrace.params.sampling import SamplingParams
from headrace.results import StopReason
from headrace_server.errors import ApiError, too_late
from headrace_server.wire.common import Timings, Usage
from headrace_server.wire.sampling import Sampling, of_answer, sampling_params

if TYPE_CHECKING:
    from headrace.common.closing import Closing
    from headrace.results.chat import ChatCompletion
    from headrace.streams.chat import ChatStream
    from headrace_server.generation.seat import Seat
    from headrace_server.http.exchange import Exchange
    from headrace_server.models.served import Served

UNREAD = (
    "the content has something that looks like a call of a tool, or else like a part of the "
    "template's format, and could not be read as one"
)
"""The note beside such content."""

_AT_THE_BEGINNING = ("tools", "template_args")
"""What templates show before the messages. Which tool must be called, what the answer keeps to and
whether the model may think changes from turn to turn, and little of the prompt."""

_encoder = msgspec.json.Encoder(order="deterministic")


@attrs.frozen(kw_only=True)
class Asked:
    """A conversation to be answered, and how."""

    messages: Sequence[Mapping[str, Any]]
    """As ``session.chat`` takes them."""
    model: str | None = None
    render: Mapping[str, Any] = attrs.field(factory=dict)
    """Keywords of ``session.chat`` that say what the model sees: ``tools`` and so on."""
    sampling: Sampling = attrs.field(factory=Sampling)
    logprobs: int | None = None
    """Most likely tokens to name beside each; None: no log-probabilities."""
    max_tokens: int | None = None
    n: int = 1
    """How many answers."""
    schema_field: str = "response_format"
    """Where the request has the schema of the answer, if it has one."""

    async def check_schema(self) -> None:
        """Refuse a schema that an answer cannot be kept to.

        Raises:
            ApiError: With the field, and the place in the schema.
        """
        wanted = self.render.get("response_format")
        if not isinstance(wanted, Mapping):
            return
        schema = wanted.get("json_schema", wanted).get("schema")
        if isinstance(schema, Mapping):
            # Beside the event loop: a large one takes a while.
            await in_worker(lambda: _check_schema(self.schema_field, schema))

    @property
    def key(self) -> str:
        """What the conversation begins with; that of a next turn begins with it."""
        head = _encoder.encode({name: self.render.get(name) for name in _AT_THE_BEGINNING})
        return "\n".join(
            [head.decode(), *(_encoder.encode(each).decode() for each in self.messages)]
        )


def _check_schema(field: str, schema: Mapping[str, Any]) -> None:
    try:
        JsonSchema(json.dumps(schema))
    except GrammarError as error:
        raise ApiError(400, "invalid_grammar", f"{field}: {error.message}", param=field) from None


@attrs.frozen
class Answers:
    """The streams of one request, none of them read yet."""

    seat: Seat
    streams: tuple[ChatStream, ...]
    prefilled: ChatCompletion | None = None
    """The prompt by itself, where several answers go on from it."""
    logprobs: bool = False
    """Whether there are log-probabilities."""
    sampling: SamplingParams = attrs.field(factory=SamplingParams)
    """How the tokens are chosen, with what the request leaves out."""

    @property
    def served(self) -> Served:
        """The model that answers."""
        return self.seat.served

    def usage(self) -> Usage:
        """All tokens of answers that have ended; the prompt counts once."""
        done = [stream.result for stream in self.streams]
        prompt = (self.prefilled or done[0]).usage
        written = sum(each.usage.completion_tokens for each in done)
        return Usage.of(prompt.prompt_tokens, written, prompt.cached_tokens)

    def timings(self) -> Timings:
        """Where the first answer's time went, and for several the prompt's."""
        done = self.streams[0].result
        prompt = self.prefilled or done
        measured = done.timings
        if self.prefilled is not None:
            measured = attrs.evolve(
                measured,
                prefill_tokens=measured.prefill_tokens + prompt.timings.prefill_tokens,
                prefill_seconds=measured.prefill_seconds + prompt.timings.prefill_seconds,
            )
        return Timings.of(measured, prompt.usage.cached_tokens, done.usage.completion_tokens)


@contextlib.asynccontextmanager
async def answering(exchange: Exchange, asked: Asked) -> AsyncIterator[Answers]:
    """Begin the answers; they end with the block.

    Several answers go their own ways from a prompt that is computed once.

    Args:
        exchange: Whose request it is.
        asked: What for.

    Raises:
        ApiError: For a value outside its range, a queue that is full, an unknown model.
        HeadraceError: What ``session.chat`` says.
    """
    key = asked.key
    await asked.check_schema()
    async with (
        exchange.server.seat(exchange, asked.model, key, seats=asked.n) as seat,
        contextlib.AsyncExitStack() as entered,
    ):
        # One deadline for all of it: a time-out of a stream's own is set up at every read.
        with anyio.move_on_after(exchange.time_left) as deadline:
            sampling = sampling_params(
                asked.sampling, seat.served.recommended, logprobs=asked.logprobs
            )
            request: dict[str, Any] = {
                **seat.served.shown(asked.render),
                "sampling": sampling,
                "max_tokens": asked.max_tokens,
                "stop": asked.sampling.stops,
            }
            prefilled = None
            if asked.n > 1:
                prefill = {**request, "max_tokens": 0}
                async with await seat.session.achat(asked.messages, **prefill) as stream:
                    prefilled = await seat.read(stream)
                check_ended(prefilled.stop_reason)
            streams = []
            for index, session in enumerate(await seat.sessions(asked.n)):
                request["sampling"] = of_answer(sampling, index)
                stream = await session.achat(asked.messages, **request)
                entered.push_async_callback(closed, stream)
                streams.append(stream)
            yield Answers(seat, tuple(streams), prefilled, asked.logprobs is not None, sampling)
    if deadline.cancelled_caught:
        raise too_late()


async def closed(stream: Closing) -> None:
    """Close a stream, also where its request was cancelled."""
    with anyio.CancelScope(shield=True):
        await stream.aclose()


async def each_of(work: Callable[[Any], Coroutine[Any, Any, Any]], values: Sequence[Any]) -> None:
    """Do the same with each, all at the same time."""
    if len(values) == 1:
        await work(values[0])
        return
    async with anyio.create_task_group() as group:
        for value in values:
            group.start_soon(work, value)


def finish_reason(done: ChatCompletion) -> str:
    """OpenAI's word for the end of an answer.

    Raises:
        ApiError: For an end that is none of the model's and none that was asked for.
    """
    check_ended(done.stop_reason)
    return done.finish_reason


def check_ended(reason: StopReason) -> None:
    """Raise for an end that is none of the model's and none that was asked for.

    Raises:
        ApiError: 504 if the time ran out, 503 if the server ended it.
    """
    if reason is StopReason.TIMED_OUT:
        raise too_late()
    if reason is StopReason.CANCELLED:
        raise ApiError(503, "cancelled", "the server ended the answer before it was complete")
