"""Streams and their results."""

from __future__ import annotations

from headrace.errors import BusyError
from headrace.results import Capability, Chunk
from headrace.streams.tokens import TokenStream
from headrace.testing.kit import Kit, expect, expect_equal, expect_error
from headrace.testing.rules import rule


@rule("stream.class")
def own_class(kit: Kit) -> None:
    """session.generate returns headrace's TokenStream."""
    with kit.session() as session, kit.stream(session, n=1) as stream:
        expect(isinstance(stream, TokenStream), f"it returned a {type(stream).__name__}")


@rule("stream.chunks")
def chunks_make_result(kit: Kit) -> None:
    """Texts and tokens of the chunks, in order, are those of the result."""
    with kit.session() as session:
        stream = kit.stream(session, n=12)
        chunks = list(stream)
        done = stream.result
        expect(all(isinstance(each, Chunk) for each in chunks), "something else than a Chunk came")
        expect_equal("".join(each.text for each in chunks), done.text, "text of the chunks")
        tokens = tuple(token for each in chunks for token in each.tokens)
        expect_equal(tokens, done.tokens, "tokens of the chunks")
        expect(done.text, "nothing was written")


@rule("stream.piecemeal")
def piecemeal(kit: Kit) -> None:
    """Text comes in pieces while it is written, not at the end."""
    with kit.session() as session:
        chunks = list(kit.stream(session, n=16))
        expect(len(chunks) > 1, f"16 tokens came in {len(chunks)} chunk")


@rule("stream.lazy")
def lazy(kit: Kit) -> None:
    """Nothing is computed for a stream before somebody reads."""
    with kit.session() as session, kit.stream(session) as stream:
        now = stream.statistics()
        expect_equal((now.steps, now.buffered_tokens), (0, 0), "steps and tokens of an unread one")


@rule("stream.backpressure")
def backpressure(kit: Kit) -> None:
    """A reader who stops reading has few tokens waiting: with an engine, those it may be ahead."""
    with (
        kit.load(n_sequences=2, lookahead=4) as model,
        model.open_session() as slow,
        model.open_session() as quick,
    ):
        waiting = kit.stream(slow)
        next(waiting)
        kit.say(quick, n=32)
        held = waiting.statistics().buffered_tokens
        kit.note("tokens buffered", held)
        waiting.close()
        most = kit.subject.most_buffered
        expect(held <= most, f"{held} tokens were waiting while 32 were read elsewhere")


@rule("stream.usage", needs=[Capability.TOKENIZE])
def usage(kit: Kit) -> None:
    """Prompt and completion are counted."""
    with kit.session() as session:
        done = kit.say(session, n=5)
        count = len(kit.model.tokenize(kit.subject.prompt))
        expect_equal(done.usage.prompt_tokens, count, "usage.prompt_tokens")
        expect_equal(done.usage.completion_tokens, 5, "usage.completion_tokens")
        expect_equal(len(done.tokens), 5, "tokens of the result")


@rule("stream.timings")
def timings(kit: Kit) -> None:
    """No timing is negative, and the first token comes before the end."""
    with kit.session() as session:
        told = kit.say(session, n=4).timings
        for name in ("prefill_seconds", "decode_seconds", "total_seconds", "draft_seconds"):
            expect(getattr(told, name) >= 0, f"timings.{name} is {getattr(told, name)}")
        first = told.first_token_seconds
        expect(first is not None and 0 <= first <= told.total_seconds, f"the first token: {told}")


@rule("stream.receipt")
def receipt(kit: Kit) -> None:
    """The receipt names backend and build and says whether a repeat is equal."""
    with kit.session() as session:
        told = kit.say(session, n=1).receipt
        expect_equal(told.backend, kit.model.info.backend, "receipt.backend")
        expect_equal(told.build, kit.model.info.build, "receipt.build")
        expect(told.reason, "receipt.reason is empty")


@rule("stream.busy")
def busy(kit: Kit) -> None:
    """A second generation is refused with BusyError while one runs."""
    with kit.session() as session:
        stream = kit.stream(session)
        next(stream)
        expect_error(BusyError, lambda: kit.stream(session), "a second generate", "cancel")
        stream.close()
        expect(kit.say(session, n=2).text, "nothing was written after the first was closed")
