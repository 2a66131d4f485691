"""What a generation asks of the sampler, and what comes with its tokens."""

from __future__ import annotations

import pytest

import headrace
from headrace import (
    Capability,
    ParamsError,
    SamplingParams,
    StopReason,
    UnsupportedError,
)
from headrace.requests.sampling import check_sampling
from headrace_fake import FakeDecoder

WITH_LOGPROBS = SamplingParams(logprobs=2)


@pytest.fixture
def open_fake():
    """Opens sessions of fakes that write a script."""
    models = []

    def _open(script: str, **options):
        models.append(headrace.load_model(f"fake:{script}", **options))
        return models[-1].open_session()

    yield _open
    for model in models:
        model.close()


def _tokens(logprobs) -> tuple[int, ...]:
    return tuple(each.token for each in logprobs)


def test_a_character_of_many_tokens_has_a_log_probability_for_each(open_fake):
    """Bytes that are held back bring theirs when their character is complete."""
    stream = open_fake("a😀é").generate("x", sampling=WITH_LOGPROBS)
    chunks = list(stream)
    assert [len(chunk.logprobs) for chunk in chunks if chunk.text == "😀"] == [4]
    assert all(_tokens(chunk.logprobs) == chunk.tokens for chunk in chunks)
    assert stream.result.stop_reason is StopReason.EOG
    assert _tokens(stream.result.logprobs) == stream.result.tokens


@pytest.mark.parametrize("lookahead", [1, 8])
def test_bytes_held_back_at_a_cancel_leave_nothing(open_fake, lookahead):
    """They were not seen, so they are not in the result."""
    session = open_fake(
        "ab%F0%9F", backend="fake", engine=headrace.EngineParams(lookahead=lookahead)
    )
    stream = session.generate("x", sampling=WITH_LOGPROBS)
    for _ in range(2):
        next(stream)
    stream.cancel()
    assert stream.result.text == "ab"
    assert _tokens(stream.result.logprobs) == stream.result.tokens == (ord("a"), ord("b"))


def test_text_held_back_for_a_stop_string_brings_its_log_probabilities_later(open_fake):
    """And what completes the stop string brings none."""
    done = open_fake("abcabdxyz").complete("x", sampling=WITH_LOGPROBS, stop="abd")
    assert done.text == "abc"
    assert _tokens(done.logprobs) == done.tokens == tuple(b"abc")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"typical_p": 0.5}, "typical_p"),
        ({"mirostat": 2}, "mirostat"),
        ({"logit_bias": {3: 1.0}}, "logit_bias"),
        ({"samplers": ("top_k", "temperature")}, "samplers"),
    ],
)
def test_a_sampler_that_the_backend_lacks_is_refused(open_fake, params, field):
    """Naming the field and those that it knows; the session stays usable."""
    session = open_fake("abc")
    with pytest.raises(UnsupportedError, match=f"SamplingParams.{field}") as caught:
        session.generate("x", sampling=SamplingParams(**params))
    assert "temperature" in caught.value.hint
    assert session.complete("x").text == "abc"


@pytest.fixture
def info(open_fake):
    """Of some model."""
    with headrace.load_model("fake:abc") as model:
        return model.info


def test_log_probabilities_that_the_backend_lacks_are_refused(info):
    """The hint says what to do without."""
    with pytest.raises(UnsupportedError, match="no log-probabilities") as caught:
        check_sampling(WITH_LOGPROBS, info, frozenset({Capability.GENERATE}))
    assert "logprobs" in caught.value.hint
    check_sampling(WITH_LOGPROBS, info, frozenset({Capability.LOGPROBS}))


def test_a_bias_on_a_token_outside_the_vocabulary_is_refused(info):
    """The hint gives the range."""
    everything = frozenset(Capability)
    check_sampling(SamplingParams(logit_bias={262: -1.0}), info, everything)
    with pytest.raises(ParamsError, match="token 263") as caught:
        check_sampling(SamplingParams(logit_bias={263: -1.0}), info, everything)
    assert "0 … 262" in caught.value.hint


@pytest.mark.parametrize(
    ("params", "n"),
    [
        ({}, 64),
        ({"repeat_last_n": 5, "dry_penalty_last_n": 0}, 5),
        ({"repeat_last_n": 0, "dry_penalty_last_n": 9}, 9),
        ({"repeat_last_n": 0, "dry_penalty_last_n": 0}, 0),
        ({"repeat_last_n": -1}, 4096),
    ],
)
def test_a_sampler_is_given_the_end_of_the_history(open_fake, monkeypatch, params, n):
    """As far as its penalties look back, over generations and prompts; rewound is forgotten."""
    given = []
    made = FakeDecoder.new_sampler

    def note(decoder, params, *, recent, **more):
        given.append(list(recent))
        return made(decoder, params, recent=recent, **more)

    monkeypatch.setattr(FakeDecoder, "new_sampler", note)
    sampling = SamplingParams(**params)
    monkeypatch.setattr("headrace.session.check_sampling", lambda *arguments: None)
    session = open_fake("abc" * 20)
    session.complete("first ", max_tokens=50)
    session.rewind(to=50)
    history = session.tokens
    session.complete("more", sampling=sampling, max_tokens=3)
    assert given[-1] == (history + list(b"more"))[-n:] if n else given[-1] == []
