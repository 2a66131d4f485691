"""How likely a text is: consistent with what is generated, and nothing of the session changes."""

from __future__ import annotations

import math

import anyio
import pytest

from headrace import (
    BusyError,
    Capability,
    ClosedError,
    ContextFullError,
    ParamsError,
    SamplingParams,
    SessionParams,
    TokenizeError,
)

GREEDY = SamplingParams(temperature=0.0, logprobs=2)
PROMPT = "The quick brown fox jumps over the lazy dog"


def close(found, expected):
    """Equal but for the last digits of float arithmetic in batches of other sizes."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=2e-2)


@pytest.mark.parametrize("reproducible", [False, True])
def test_generated_tokens_score_as_they_were_generated(model, reproducible):
    """The same log-probabilities as beside the generation, and greedy ones are the likeliest."""
    params = SessionParams(reproducible=reproducible)
    with model.open_session(params) as writer, model.open_session(params) as session:
        done = writer.complete(PROMPT, sampling=GREEDY, max_tokens=20, ignore_eog=True)
        session.complete(PROMPT, max_tokens=0)
        score = session.score(done.tokens, top=2)
        assert score.tokens == done.tokens
        close(score.logprobs, [each.logprob for each in done.logprobs])
        for token, top, generated in zip(score.tokens, score.top, done.logprobs, strict=True):
            assert top[0][0] == token
            close([each[1] for each in top], [each[1] for each in generated.top])


def test_nothing_of_the_session_changes(model):
    """It writes what a session writes that was never asked."""
    params = SessionParams(reproducible=True)
    with model.open_session(params) as asked, model.open_session(params) as left:
        for session in (asked, left):
            session.complete(PROMPT, sampling=GREEDY, max_tokens=5, ignore_eog=True)
        before = asked.tokens
        asked.score(" something else", top=1)
        assert asked.tokens == before
        rest = [
            each.complete(None, sampling=GREEDY, max_tokens=12, ignore_eog=True)
            for each in (asked, left)
        ]
        assert rest[0].tokens == rest[1].tokens


def test_a_history_and_its_text_are_as_likely_as_both_together(model):
    """Where the text is cut plays no part."""
    tokens = model.tokenize(PROMPT)
    with model.open_session() as session:
        whole = session.score(tokens)
        assert whole.logprobs[0] is None
        assert whole.scored == len(tokens) - 1
        assert whole.total == pytest.approx(sum(whole.logprobs[1:]))
        assert whole.perplexity == pytest.approx(math.exp(-whole.total / whole.scored))
        assert b"".join(whole.pieces).strip() == PROMPT.encode()
        assert whole.top == ()
        for cut in (1, 2, len(tokens) - 1):
            session.reset()
            session.complete(tokens[:cut], max_tokens=0)
            close(session.score(tokens[cut:]).logprobs, whole.logprobs[cut:])


def test_texts_as_strings(model):
    """Special tokens are added to one that begins the history, and to no other."""
    with model.open_session() as session:
        assert list(session.score("ab").tokens) == model.tokenize("ab")
        session.complete("ab", max_tokens=0)
        assert list(session.score("cd").tokens) == model.tokenize("cd", add_special=False)


def test_a_lone_token_of_an_empty_history(model):
    """There is nothing to tell it from."""
    with model.open_session() as session:
        score = session.score([5])
        assert (score.logprobs, score.total, score.perplexity) == ((None,), 0.0, None)


def test_texts_longer_than_a_call(target):
    """In pieces the numbers are the same; progress is told, and ends with 1."""
    tokens = [40 + (7 * i) % 50 for i in range(300)]
    # Fused attention over a cache of 16 bits gives other last digits for every size of a call.
    exact = {"flash_attention": False, "cache_type_k": "f32", "cache_type_v": "f32"}
    with target.load(n_batch=256, **exact) as model, model.open_session() as session:
        expected = session.score(tokens)
    told = []
    with target.load(n_batch=16, **exact) as model, model.open_session() as session:
        score = session.score(tokens, progress=told.append)
    assert score.logprobs[1:] == pytest.approx(expected.logprobs[1:], abs=1e-4)
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_what_does_not_fit(target):
    """One token more than the context holds can be looked up, and no other."""
    with target.load(n_ctx=256) as model, model.open_session() as session:
        session.complete([65] * 100, max_tokens=0)
        assert session.score([66] * 157).scored == 157
        with pytest.raises(ContextFullError, match="100 tokens of history and 158"):
            session.score([66] * 158)
        assert session.tokens == [65] * 100


@pytest.mark.parametrize(
    ("text", "top", "error"),
    [
        ("", 0, ParamsError),
        ([], 0, ParamsError),
        (None, 0, ParamsError),
        (5, 0, ParamsError),
        ("a", -1, ParamsError),
        ("a", 101, ParamsError),
        ("a", True, ParamsError),
        ("a", "1", ParamsError),
        ([10**9], 0, TokenizeError),
        (["a"], 0, ParamsError),
        ("\ud800", 0, TokenizeError),
    ],
)
def test_wrong_arguments(session, text, top, error):
    """Named before anything is computed."""
    with pytest.raises(error):
        session.score(text, top=top)


def test_at_the_wrong_moment(model, session):
    """While a generation is under way, and after the end."""
    assert Capability.SCORE in model.capabilities
    with session.generate("a", ignore_eog=True) as stream:
        next(stream)
        with pytest.raises(BusyError):
            session.score("b")
    session.close()
    with pytest.raises(ClosedError):
        session.score("b")


def test_beside_streams_and_without_a_free_seat(target):
    """Readers get their tokens, the score is what it is alone."""
    text = [40 + (3 * i) % 50 for i in range(60)]
    with target.load(n_sequences=2, n_batch=32) as model, model.open_session() as session:
        session.complete(PROMPT, max_tokens=0)
        alone = session.score(text)
        params = SessionParams(reproducible=True)
        streams = [
            model.open_session(params).generate(
                f"stream {number}", sampling=GREEDY, max_tokens=12, ignore_eog=True
            )
            for number in range(3)
        ]
        for stream in streams:
            next(stream)
        close(session.score(text).logprobs, alone.logprobs)
        for number, stream in enumerate(streams):
            rest = list(stream)
            assert rest
            with model.open_session(params) as other:
                again = other.complete(
                    f"stream {number}", sampling=GREEDY, max_tokens=12, ignore_eog=True
                )
            assert stream.result.tokens == again.tokens


def test_a_loaded_session_scores(model):
    """Its memory is read back for the score too."""
    with model.open_session() as session, model.open_session() as other:
        session.complete(PROMPT, sampling=GREEDY, max_tokens=5, ignore_eog=True)
        other.load_state(session.state())
        close(other.score(" x y").logprobs, session.score(" x y").logprobs)


@pytest.mark.anyio
async def test_tasks_score(model, anyio_backend):
    """The same numbers; a cancelled one leaves everything usable."""
    with model.open_session() as session:
        expected = session.score(PROMPT)
        found = await session.ascore(PROMPT)
        assert found.logprobs[1:] == pytest.approx(expected.logprobs[1:], abs=2e-2)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.ascore(PROMPT)
        assert scope.cancelled_caught
        found = await session.ascore(PROMPT)
        assert found.logprobs[1:] == pytest.approx(expected.logprobs[1:], abs=2e-2)
