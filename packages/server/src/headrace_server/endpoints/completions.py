"""``POST /v1/completions``: texts to be continued, with what evaluation harnesses ask for.

Several prompts of one request are answered one after the other, so that one request never takes
more than its share; several answers to one prompt go their own ways from a prompt that is computed
once.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from starlette.routing import Route

from headrace.errors import GrammarError, ParamsError
from headrace.grammar import JsonSchema
from headrace.requests.checks import check_range
from headrace.results import StopReason
from headrace_server.endpoints.answering import Answering, described
from headrace_server.endpoints.fields import number_of_answers, refusal, wrong
from headrace_server.errors import ApiError
from headrace_server.generation.chats import check_ended, closed, each_of
from headrace_server.generation.prompts import begun, tokens_of
from headrace_server.http.events import DONE, event
from headrace_server.wire import completions as wire
from headrace_server.wire.common import Timings, Usage, new_id
from headrace_server.wire.sampling import of_answer, sampling_params

if TYPE_CHECKING:
    import headrace
    from headrace.results import Completion, TokenLogprob
    from headrace.results.score import Score
    from headrace.streams.tokens import TokenStream
    from headrace_server.generation.pieces import Pieces
    from headrace_server.generation.seat import Seat
    from headrace_server.http.exchange import Exchange
    from headrace_server.models.served import Served
    from headrace_server.server import Server

_MOST_PROMPTS = 2048


def routes(server: Server) -> Iterator[Route]:
    """What is answered here."""
    yield Route("/v1/completions", Answering(server, completions), methods=["POST"])


@described(wire.CompletionRequest, wire.Completion, events=True)
async def completions(exchange: Exchange) -> None:
    """Continue texts, whole or as a stream."""
    request = await exchange.body(wire.CompletionRequest)
    exchange.names = {"text": "prompt"}
    _refuse(request)
    n = number_of_answers(request.n)
    several = any(isinstance(each, list) for each in request.prompt)
    asked = [
        _Asked(index, prompt, request, n, f"prompt[{index}]" if several else "prompt")
        for index, prompt in enumerate(_prompts(request.prompt))
    ]
    async with exchange.server.registry.use(request.model, exchange) as served:
        telling = _Telling(exchange, request, served)
        for each in asked:
            await telling.answer(each)
        await telling.end()


# -- what is asked ------------------------------------------------------------


@attrs.frozen
class _Asked:
    """One prompt of a request."""

    index: int
    prompt: str | tuple[int, ...]
    request: wire.CompletionRequest
    n: int
    where: str
    """What the request calls it."""


def _refuse(request: wire.CompletionRequest) -> None:
    n = number_of_answers(request.n)
    if request.best_of is not None and request.best_of != n:
        raise refusal(
            "best_of", f"must be as large as n, which is {n}, got {request.best_of}; ask with n"
        )
    if request.suffix is not None and request.echo:
        raise refusal("echo", "cannot stand beside suffix; leave out one of them")
    if request.json_schema is not None and request.grammar:
        raise refusal("json_schema", "cannot stand beside grammar; leave out one of them")


def _prompts(given: str | list[str | int | list[int]]) -> list[str | tuple[int, ...]]:
    """The prompts, each a text or its token ids.

    Raises:
        ApiError: For none, or a list of different things.
    """
    if isinstance(given, str):
        return [_whole(given, "prompt")]
    if given and all(isinstance(each, int) for each in given):
        return [_ids(given, "prompt")]
    if not 1 <= len(given) <= _MOST_PROMPTS:
        raise wrong(
            "prompt",
            f"must be a text, token ids, or 1 to {_MOST_PROMPTS} of either, got {len(given)}",
        )
    found: list[str | tuple[int, ...]] = []
    for index, each in enumerate(given):
        where = f"prompt[{index}]"
        if isinstance(each, int):
            raise wrong(where, "is a token id beside texts or lists; put ids into a list")
        found.append(_whole(each, where) if isinstance(each, str) else _ids(each, where))
    return found


def _whole(text: str, where: str) -> str:
    if not text:
        raise wrong(where, "must not be empty; write at least a space")
    return text


def _ids(given: Sequence[Any], where: str) -> tuple[int, ...]:
    if not given:
        raise wrong(where, "is a list of token ids without one")
    return tuple(given)


def _sampling(request: wire.CompletionRequest, served: Served) -> headrace.SamplingParams:
    found = sampling_params(
        request, served.recommended, logprobs=request.logprobs, logprobs_field="logprobs"
    )
    if request.json_schema is None:
        return found
    try:
        return attrs.evolve(found, grammar=JsonSchema(json.dumps(request.json_schema)))
    except (GrammarError, ParamsError) as error:
        raise ApiError(
            400, "invalid_grammar", f"json_schema: {error}", param="json_schema"
        ) from None


# -- generating ---------------------------------------------------------------


@attrs.frozen
class _Begun:
    """The answers to one prompt, none of them read yet."""

    seat: Seat
    asked: _Asked
    tokens: tuple[int, ...] | None
    streams: Sequence[TokenStream]
    score: Score | None
    prefilled: Completion | None

    def usage(self) -> tuple[int, int, int]:
        """Tokens of the prompt, written ones, and those of the prompt that were cached."""
        done = [stream.result for stream in self.streams]
        first = self.prefilled or done[0]
        prompt = first.usage.prompt_tokens if self.tokens is None else len(self.tokens)
        written = sum(each.usage.completion_tokens for each in done)
        return prompt, written, min(first.usage.cached_tokens, prompt)


@contextlib.asynccontextmanager
async def _answering(exchange: Exchange, asked: _Asked, served: Served) -> AsyncIterator[_Begun]:
    request = asked.request
    sampling = _sampling(request, served)
    tokens = await _tokens(asked, served)
    scored = bool(request.echo) and request.logprobs is not None
    # A text is scored after a history that is empty.
    key = () if scored else tokens if tokens is not None else str(asked.prompt)
    settings: dict[str, Any] = {
        "sampling": sampling,
        "max_tokens": request.max_tokens,
        "stop": request.stops,
    }
    if request.suffix is None:
        settings["ignore_eog"] = bool(request.ignore_eos)
    async with (
        exchange.server.seat(exchange, request.model, key, seats=asked.n) as seat,
        contextlib.AsyncExitStack() as entered,
    ):
        score = prefilled = None
        if scored:
            await seat.session.areset()
            score = await seat.session.ascore(_prompt(asked, tokens), top=request.logprobs or 0)
            entered.push_async_callback(_forget, seat.session)

        async def begin(session: headrace.Session, **changes: Any) -> TokenStream:
            given = {**settings, "timeout": exchange.time_left, **changes}
            if request.suffix is not None:
                stream = await session.ainfill(_prompt(asked, tokens), request.suffix, **given)
            else:
                stream = await begun(session, _prompt(asked, tokens), **given)
            entered.push_async_callback(closed, stream)
            return stream

        if asked.n > 1:
            prefilled = await seat.read(await begin(seat.session, max_tokens=0))
            check_ended(prefilled.stop_reason)
        streams = []
        for at, session in enumerate(await seat.sessions(asked.n)):
            streams.append(await begin(session, sampling=of_answer(sampling, at)))
        yield _Begun(seat, asked, tokens, streams, score, prefilled)


def _prompt(asked: _Asked, tokens: tuple[int, ...] | None) -> str | tuple[int, ...]:
    return asked.prompt if tokens is None else tokens


async def _tokens(asked: _Asked, served: Served) -> tuple[int, ...] | None:
    if asked.request.suffix is not None:
        return None  # the layout around it is the session's
    if isinstance(asked.prompt, str):
        return await tokens_of(
            served.model, asked.prompt, add_special=asked.request.add_special_tokens
        )
    check_range(asked.where, asked.prompt, served.model.info.n_vocab)
    return asked.prompt


async def _forget(session: headrace.Session) -> None:
    with anyio.CancelScope(shield=True):
        await session.areset()


# -- telling ------------------------------------------------------------------


class _Telling:
    """What one request is told, whole or as events.

    Args:
        exchange: Whose.
        request: What it asks.
        served: The model that answers.
    """

    def __init__(self, exchange: Exchange, request: wire.CompletionRequest, served: Served) -> None:
        self._exchange = exchange
        self._request = request
        self._served = served
        self._id = new_id("cmpl")
        self._created = int(time.time())
        self._choices: list[wire.CompletionChoice] = []
        self._tokens = [0, 0, 0]
        self._timings: list[Timings] = []
        self._asks_usage = bool(request.stream_options and request.stream_options.include_usage)

    async def answer(self, asked: _Asked) -> None:
        """Answer one prompt."""
        async with _answering(self._exchange, asked, self._served) as begun:
            echoed = await self._echoed(begun)
            tell = self._streamed if self._request.stream else self._read
            first = asked.index * asked.n

            async def one(numbered: tuple[int, TokenStream]) -> None:
                index, stream = numbered
                await tell(begun, stream, first + index, echoed)

            await each_of(one, tuple(enumerate(begun.streams)))
            usage = begun.usage()
            for at, count in enumerate(usage):
                self._tokens[at] += count
            done = begun.streams[0].result
            self._timings.append(Timings.of(done.timings, usage[2], done.usage.completion_tokens))

    async def end(self) -> None:
        """Send what stands at the end."""
        prompt, written, cached = self._tokens
        whole = self._chunk(sorted(self._choices, key=lambda each: each.index))
        whole.usage = Usage.of(prompt, written, cached)
        whole.timings = self._timings[0] if len(self._timings) == 1 else None
        if not self._request.stream:
            await self._exchange.respond(whole)
            return
        if self._asks_usage:
            await self._exchange.send(event(whole))
        await self._exchange.send(DONE)
        await self._exchange.finish()

    async def _echoed(self, begun: _Begun) -> _Echo:
        """The prompt, as far as it is wanted in the answer."""
        if not self._request.echo:
            return _Echo("", None)
        prompt = begun.asked.prompt
        if isinstance(prompt, str):
            text = prompt
        else:
            model = self._served.model
            text = (await model.adetokenize(prompt, special=True)).decode(errors="replace")
        if begun.score is None:
            return _Echo(text, None)
        score, pieces = begun.score, self._served.pieces
        await pieces.look_up(id for tops in score.top for id, _ in tops)
        await pieces.look_up(score.tokens)
        lists = _Lists(pieces, self._request.logprobs or 0, 0)
        tops: Sequence[Any] = score.top or [()] * len(score.tokens)
        for token, logprob, top in zip(score.tokens, score.logprobs, tops, strict=True):
            lists.add(token, logprob, top)
        return _Echo(text, lists.found)

    async def _read(self, begun: _Begun, stream: TokenStream, index: int, echo: _Echo) -> None:
        done = await begun.seat.read(stream)
        reason = _finish(done)
        found = await self._lists(done.logprobs, len(echo.text))
        if found is not None and echo.logprobs is not None:
            found = wire.ClassicLogprobs(
                echo.logprobs.tokens + found.tokens,
                echo.logprobs.token_logprobs + found.token_logprobs,
                None
                if found.top_logprobs is None or echo.logprobs.top_logprobs is None
                else echo.logprobs.top_logprobs + found.top_logprobs,
                echo.logprobs.text_offset + found.text_offset,
            )
        text = echo.text + done.text
        self._choices.append(wire.CompletionChoice(index, text, found or echo.logprobs, reason))

    async def _streamed(self, begun: _Begun, stream: TokenStream, index: int, echo: _Echo) -> None:
        send = self._exchange.send
        offset = 0
        async for chunk in begun.seat.watched(stream):
            if echo.text and not offset:
                await send(self._event(index, echo.text, echo.logprobs))
                offset = len(echo.text)
            if not chunk.text and not chunk.logprobs:
                continue
            shown = await self._lists(chunk.logprobs, offset)
            await send(self._event(index, chunk.text, shown))
            offset += len(chunk.text)
        done = stream.result
        reason = _finish(done)
        if echo.text and not offset:
            await send(self._event(index, echo.text, echo.logprobs))
        last = self._chunk([wire.CompletionChoice(index, "", None, reason)])
        await send(event(last))

    async def _lists(
        self, logprobs: Sequence[TokenLogprob], offset: int
    ) -> wire.ClassicLogprobs | None:
        if self._request.logprobs is None or not logprobs:
            return None
        pieces = self._served.pieces
        await pieces.look_up(
            token for each in logprobs for token in (each.token, *(id for id, _ in each.top))
        )
        lists = _Lists(pieces, self._request.logprobs, offset)
        for each in logprobs:
            lists.add(each.token, each.logprob, each.top)
        return lists.found

    def _event(self, index: int, text: str, logprobs: wire.ClassicLogprobs | None) -> bytes:
        return event(self._chunk([wire.CompletionChoice(index, text, logprobs)]))

    def _chunk(self, choices: list[wire.CompletionChoice]) -> wire.Completion:
        return wire.Completion(
            id=self._id,
            created=self._created,
            model=self._served.name,
            system_fingerprint=self._served.model.info.build,
            choices=choices,
            object="text_completion",
        )


@attrs.frozen
class _Echo:
    """What of the prompt stands before an answer."""

    text: str
    logprobs: wire.ClassicLogprobs | None


class _Lists:
    """Fills the lists of the classic form.

    Args:
        pieces: What tokens stand for; all that come are looked up.
        most: How many likely tokens are named.
        offset: Where in the text the first token begins.
    """

    def __init__(self, pieces: Pieces, most: int, offset: int) -> None:
        self._pieces = pieces
        self._offset = offset
        self.found = wire.ClassicLogprobs([], [], [] if most else None, [])

    def add(self, token: int, logprob: float | None, top: Sequence[tuple[int, float]]) -> None:
        """Add a token."""
        text = self._text(token)
        found = self.found
        found.tokens.append(text)
        found.token_logprobs.append(logprob)
        found.text_offset.append(self._offset)
        self._offset += len(text)
        if found.top_logprobs is None:
            return
        if logprob is None:
            found.top_logprobs.append(None)
            return
        # The least likely first: where two tokens look alike, the likelier one is told.
        told = {self._text(each): value for each, value in reversed(top)}
        told.setdefault(text, logprob)
        found.top_logprobs.append(told)

    def _text(self, token: int) -> str:
        return self._pieces[token].decode(errors="replace")


def _finish(done: Completion) -> str:
    check_ended(done.stop_reason)
    cut = done.stop_reason in (StopReason.MAX_TOKENS, StopReason.CONTEXT_FULL)
    return "length" if cut else "stop"
