"""Why generations end: an end is a value."""

from __future__ import annotations

from headrace.errors import ContextFullError
from headrace.params import SamplingParams
from headrace.results import Capability, StopReason
from headrace.testing.kit import Kit, NotApplicable, expect, expect_equal, expect_error
from headrace.testing.rules import rule
from headrace.testing.suite.distribution import ends_of

TOKENIZE = (Capability.TOKENIZE,)


@rule("stop.max_tokens")
def max_tokens(kit: Kit) -> None:
    """max_tokens ends a generation after so many tokens."""
    with kit.session() as session:
        done = kit.say(session, n=7)
        expect_equal(done.stop_reason, StopReason.MAX_TOKENS, "stop_reason")
        if Capability.TOKENIZE in kit.model.capabilities:
            expect_equal(len(done.tokens), 7, "tokens")


@rule("stop.max_tokens_zero")
def max_tokens_zero(kit: Kit) -> None:
    """max_tokens=0 computes the prompt and writes nothing."""
    with kit.session() as session:
        done = kit.say(session, n=0)
        expect_equal((done.text, done.tokens), ("", ()), "what was written")
        expect_equal(done.stop_reason, StopReason.MAX_TOKENS, "stop_reason")


@rule("stop.string")
def stop_string(kit: Kit) -> None:
    """A stop string ends the text before it."""
    with kit.session() as session, kit.session() as other:
        whole = kit.say(session, n=16).text
        expect(len(whole) >= 4, f"16 tokens make the text {whole!r}")
        stop = whole[2:4]
        done = kit.say(other, n=16, stop=[stop])
        expect_equal(done.stop_reason, StopReason.STOP_STRING, "stop_reason")
        expect_equal(done.text, whole[: whole.index(stop)], f"text before {stop!r}")


@rule("stop.timeout")
def timeout(kit: Kit) -> None:
    """A time-out that has run out ends a generation."""
    with kit.session() as session:
        stream = kit.stream(session, timeout=0.0)
        expect_equal(list(stream), [], "chunks")
        expect_equal(stream.result.stop_reason, StopReason.TIMED_OUT, "stop_reason")
        expect(kit.say(session, n=2).text, "nothing was written afterwards")


@rule("stop.context_full", needs=TOKENIZE, endless=True)
def context_full(kit: Kit) -> None:
    """A context that becomes full is an end, not an error."""
    with kit.load(n_ctx=256) as model, model.open_session() as session:
        done = kit.say(session, n=None)  # type: ignore[arg-type]
        expect_equal(done.stop_reason, StopReason.CONTEXT_FULL, "stop_reason")
        # The last token needs no room of its own.
        expect_equal(len(session.tokens), 257, "history")


@rule("stop.too_long", needs=TOKENIZE)
def too_long(kit: Kit) -> None:
    """A prompt that does not fit is a ContextFullError."""
    with kit.load(n_ctx=256) as model, model.open_session() as session:
        token = model.tokenize(kit.subject.prompt)[-1]
        expect_error(ContextFullError, lambda: kit.say(session, [token] * 300), "300 tokens in 256")
        expect_equal(session.tokens, [], "history")
        expect(kit.say(session, n=2).tokens, "nothing was written afterwards")


@rule("stop.shift", needs=[Capability.TOKENIZE, Capability.SHIFT], endless=True)
def shift(kit: Kit) -> None:
    """A shifting session writes more than the context holds."""
    from headrace.params import SessionParams

    with kit.load(n_ctx=256) as model:
        session = model.open_session(SessionParams(on_context_full="shift", keep=2))
        begin = model.tokenize(kit.subject.prompt)[:2]
        done = kit.say(session, n=400)
        expect_equal(len(done.tokens), 400, "tokens")
        expect(len(session.tokens) <= 257, f"the history has {len(session.tokens)} tokens")
        expect_equal(session.tokens[:2], begin, "the tokens that were to be kept")
        expect_equal(tuple(session.tokens[-50:]), done.tokens[-50:], "end of the history")


@rule("stop.ignore_eog", endless=True)
def ignore_eog(kit: Kit) -> None:
    """With ignore_eog a generation goes on where it would have ended by itself."""
    prompt, sampling = _ending(kit)
    with kit.session() as session:
        done = kit.say(session, prompt, n=_ENDLESS, sampling=sampling)
    expect_equal(done.stop_reason, StopReason.MAX_TOKENS, "stop_reason with ignore_eog")
    if Capability.TOKENIZE in kit.model.capabilities:
        expect_equal(len(done.tokens), _ENDLESS, "tokens with ignore_eog")
        ends = ends_of(kit) & set(done.tokens)
        expect(not ends, f"with ignore_eog the tokens {sorted(ends)} were written, which are ends")


_ENDLESS = 200


def _ending(kit: Kit) -> tuple[str, SamplingParams]:
    """A prompt and a sampling with which the model ends by itself."""
    if kit.subject.ending_prompt is not None:
        prompt, cold = kit.subject.ending_prompt, kit.subject.sampling
        expect(_ends(kit, prompt, cold, 32), f"it does not end by itself after {prompt!r}")
        return prompt, cold
    for seed in range(16):
        # Hot enough that all tokens are about equally likely, an end among them.
        hot = SamplingParams(temperature=1e3, top_k=0, top_p=1.0, min_p=0.0, seed=seed)
        if _ends(kit, kit.subject.prompt, hot, _ENDLESS):
            return kit.subject.prompt, hot
    raise NotApplicable("no ending_prompt was given, and no end was found by trying")


def _ends(kit: Kit, prompt: str, sampling: SamplingParams, n: int) -> bool:
    with kit.session() as session:
        done = kit.say(session, prompt, n=n, sampling=sampling, ignore_eog=False)
    return done.stop_reason is StopReason.EOG
