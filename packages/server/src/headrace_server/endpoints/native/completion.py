"""``POST /completion``: text for a prompt, or for many."""

from __future__ import annotations

import contextlib
import time
from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import msgspec

import headrace
from headrace_server.endpoints.answering import described
from headrace_server.endpoints.native.prompts import prompts_of, tokens_of
from headrace_server.endpoints.native.requests import (
    NAMES,
    CompletionRequest,
    Generating,
    sampling_of,
)
from headrace_server.endpoints.native.results import (
    STOP_TYPES,
    chosen,
    probabilities,
    settings,
    timings,
)
from headrace_server.errors import ApiError
from headrace_server.generation.merging import merged
from headrace_server.generation.prompts import begun, check_length
from headrace_server.http.events import event
from headrace_server.wire.sampling import of_answer

if TYPE_CHECKING:
    from headrace_server.generation.conversations import Key
    from headrace_server.generation.seat import Seat
    from headrace_server.http.exchange import Exchange
    from headrace_server.models.served import Served


@described(CompletionRequest, events=True)
async def completion(exchange: Exchange) -> None:
    """``POST /completion``."""
    request = await exchange.body(CompletionRequest)
    request.check()
    if request.prompt is msgspec.UNSET:
        raise ApiError(400, "missing_field", "prompt is missing: send a text", param="prompt")
    prompts, _ = prompts_of(request.prompt)
    async with exchange.server.registry.use(request.model, exchange) as served:
        tokens = [
            await tokens_of(served.model, prompt, "prompt" if len(prompts) == 1 else f"prompt[{n}]")
            for n, prompt in enumerate(prompts)
        ]
        await answer(exchange, request, served, [Prompt(each) for each in tokens])


class Task(Protocol):
    """What a request has to be written."""

    n_tokens: int
    """Tokens of the prompt; 0 if they are not known before it was computed."""

    @property
    def key(self) -> Key:
        """What the session's history will begin with."""
        ...

    async def prepare(self, session: headrace.Session) -> None:
        """Compute the prompt, for a session that is to be forked."""
        ...

    async def begin(self, session: headrace.Session, **keywords: Any) -> headrace.TokenStream:
        """Begin to write."""
        ...


class Prompt:
    """A prompt that is to be continued.

    Args:
        tokens: Its token ids.
    """

    def __init__(self, tokens: tuple[int, ...]) -> None:
        self._tokens = tokens
        self.n_tokens = len(tokens)

    @property
    def key(self) -> Key:
        """The prompt itself."""
        return self._tokens

    async def prepare(self, session: headrace.Session) -> None:
        """Compute all of it."""
        async with await begun(session, self._tokens, max_tokens=0) as stream:
            await stream.aread()

    async def begin(self, session: headrace.Session, **keywords: Any) -> headrace.TokenStream:
        """Go on where the session is, with what it does not have yet."""
        return await begun(session, self._tokens, **keywords)


async def answer(
    exchange: Exchange, request: Generating, served: Served, tasks: Sequence[Task]
) -> None:
    """Answer tasks, streamed or not.

    Raises:
        ApiError: 400 for a prompt that is too long, or what cannot be had.
    """
    exchange.names = NAMES
    for task in tasks:
        check_length(served, task.n_tokens)
    sampling = await sampling_of(request, served.model, served.recommended)
    run = _Run(exchange, request, served, sampling, session_params(request, served))
    sources = [partial(run.bodies, task, at * request.answers) for at, task in enumerate(tasks)]
    bodies = merged(sources, most=max(1, served.admission.seats // request.answers))
    if request.stream:
        await exchange.stream(_events(bodies, request))
        return
    async with contextlib.aclosing(bodies):
        results = [body async for body in bodies if body["stop"]]
    results.sort(key=lambda each: int(each["index"]))
    answers = [chosen(each, request.response_fields) for each in results]
    await exchange.respond(answers[0] if len(answers) == 1 else answers)


async def _events(
    bodies: AsyncGenerator[dict[str, Any], None], request: Generating
) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(bodies):
        async for body in bodies:
            yield event(chosen(body, request.response_fields) if body["stop"] else body)


def session_params(request: Generating, served: Served) -> headrace.SessionParams | None:
    """Settings of the session; None: it may go on where another request has ended.

    Raises:
        ApiError: 400 for an adapter that there is not.
    """
    if request.lora is not None:
        return served.adapters.params({each.id: each.scale for each in request.lora})
    return served.adapters.current if request.cache_prompt is False else None


@attrs.define(eq=False)
class _Written:
    """One answer as far as it has come."""

    index: int
    slot: int
    n_prompt: int
    n_tokens: int = 0
    newline: bool = False
    late_at: float | None = None


class _Run:
    """How all tasks of one request are answered.

    Args:
        exchange: Whose request it is.
        request: What it asks for.
        served: The model.
        sampling: How tokens are chosen.
        params: Settings of the sessions; None: kept ones will do.
    """

    def __init__(
        self,
        exchange: Exchange,
        request: Generating,
        served: Served,
        sampling: headrace.SamplingParams,
        params: headrace.SessionParams | None,
    ) -> None:
        self._exchange, self._request, self._served = exchange, request, served
        self._sampling, self._params = sampling, params

    async def bodies(self, task: Task, index: int) -> AsyncGenerator[dict[str, Any], None]:
        """The parts of a task's answers, and of each the whole.

        Args:
            task: What to answer.
            index: Number of its first answer.
        """
        n = self._request.answers
        async with self._exchange.server.seat(
            self._exchange, self._served.name, task.key, params=self._params, seats=n
        ) as seat:
            if n > 1:
                await task.prepare(seat.session)
            sources = [
                partial(self._answer, seat, session, task, _begun(index, seat, task, number))
                for number, session in enumerate(await seat.sessions(n))
            ]
            async with contextlib.aclosing(merged(sources, most=n)) as bodies:
                async for body in bodies:
                    yield body

    async def _answer(
        self, seat: Seat, session: headrace.Session, task: Task, written: _Written
    ) -> AsyncGenerator[dict[str, Any], None]:
        async with await self._stream(session, task, written) as stream:
            async for chunk in seat.watched(stream):
                for each in await self._single(chunk):
                    if each.text or each.tokens:
                        yield await self._part(written, each)
                if self._is_late(written, chunk):
                    stream.cancel()
        result = stream.result
        cached = result.usage.cached_tokens
        written.n_prompt = task.n_tokens or result.usage.prompt_tokens + cached
        yield await self._whole(session, written, result)

    async def _stream(
        self, session: headrace.Session, task: Task, written: _Written
    ) -> headrace.TokenStream:
        request = self._request
        return await task.begin(
            session,
            sampling=self._sampling_of(written),
            max_tokens=request.most,
            stop=request.stops,
            ignore_eog=bool(request.ignore_eos),
            timeout=self._exchange.time_left,
        )

    def _sampling_of(self, written: _Written) -> headrace.SamplingParams:
        """Each answer of several has a seed of its own."""
        return of_answer(self._sampling, written.index % self._request.answers)

    def _is_late(self, written: _Written, chunk: headrace.Chunk) -> bool:
        """Whether the time is over that the request gives, which wants a whole line."""
        limit = self._request.t_max_predict_ms
        if limit is None or limit < 0:
            return False
        written.newline = written.newline or "\n" in chunk.text
        now = time.monotonic()
        if written.late_at is None:
            written.late_at = now + limit / 1000
        return written.newline and now > written.late_at

    async def _single(self, chunk: headrace.Chunk) -> Sequence[headrace.Chunk]:
        """A chunk with probabilities as one for each token, if its text falls apart so."""
        if len(chunk.logprobs) < 2:
            return (chunk,)
        pieces, decoder = self._served.pieces, getincrementaldecoder("utf-8")("replace")
        await pieces.look_up(chunk.tokens)
        texts = [decoder.decode(pieces[token]) for token in chunk.tokens]
        if "".join(texts) != chunk.text or len(texts) != len(chunk.logprobs):
            return (chunk,)
        return [
            headrace.Chunk(*each)
            for each in zip(
                texts,
                ((token,) for token in chunk.tokens),
                ((logprob,) for logprob in chunk.logprobs),
                strict=True,
            )
        ]

    async def _part(self, written: _Written, chunk: headrace.Chunk) -> dict[str, Any]:
        written.n_tokens += len(chunk.tokens)
        body: dict[str, Any] = {
            "index": written.index,
            "content": chunk.text,
            "tokens": chunk.tokens,
            "stop": False,
            "id_slot": written.slot,
            "tokens_predicted": written.n_tokens,
            "tokens_evaluated": written.n_prompt,
        }
        if chunk.logprobs:
            pieces = self._served.pieces
            body["completion_probabilities"] = await probabilities(pieces, chunk.logprobs)
        return body

    async def _whole(
        self, session: headrace.Session, written: _Written, result: headrace.Completion
    ) -> dict[str, Any]:
        request, streamed = self._request, bool(self._request.stream)
        history = await session.atokens()
        prompt = history[: len(history) - result.usage.completion_tokens]
        unfinished = (headrace.StopReason.CONTEXT_FULL, headrace.StopReason.TIMED_OUT)
        body: dict[str, Any] = {
            "index": written.index,
            "content": "" if streamed else result.text,
            "tokens": result.tokens if request.return_tokens and not streamed else [],
            "id_slot": written.slot,
            "stop": True,
            "model": self._served.name,
            "tokens_predicted": result.usage.completion_tokens,
            "tokens_evaluated": written.n_prompt,
            "generation_settings": settings(
                request,
                self._sampling,
                result.receipt.seed,
                self._served.model.info.special_tokens,
            ),
            "prompt": await self._text(prompt),
            "has_new_line": "\n" in result.text,
            "truncated": result.stop_reason in unfinished,
            "stop_type": STOP_TYPES[result.stop_reason],
            "stopping_word": result.stop_string or "",
            "tokens_cached": len(history),
            "timings": timings(written.n_prompt, result),
        }
        if result.logprobs and not streamed:
            pieces = self._served.pieces
            body["completion_probabilities"] = await probabilities(pieces, result.logprobs)
        return body

    async def _text(self, tokens: Sequence[int]) -> str:
        data = await self._served.model.adetokenize(tokens, special=True)
        return data.decode(errors="replace")


def _begun(index: int, seat: Seat, task: Task, number: int) -> _Written:
    return _Written(index + number, seat.slots[number], task.n_tokens)
