"""Drafts change the speed and nothing else, whatever is proposed."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace
from headrace import (
    Capability,
    DraftModel,
    PromptLookup,
    SamplingParams,
    SessionParams,
    StopReason,
)
from headrace.engine import drafting

GREEDY = SamplingParams(temperature=0.0)
SEEDED = SamplingParams(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=7)
PROMPT = "the quick brown fox and the quick brown dog and the quick brown fox "
WIDTH = 8
PLAIN = SessionParams(reproducible=True, decode_width=WIDTH)


class Guesser:
    """Proposes what will come, what will not, and what cannot be, as its numbers say."""

    def __init__(self, future, numbers):
        self.future = future
        self.random = random.Random(numbers)
        self.proposed = 0

    def propose(self, line, limit, over, deadline):
        """Some tokens of the true continuation, then perhaps others."""
        if self.random.random() < 0.2:
            return [-1, 10**9]
        right = self.future[len(line) :][: self.random.randint(0, limit)]
        self.proposed += len(right)
        wrong = [self.random.randint(3, 60) for _ in range(self.random.randint(0, limit))]
        return [*right, *wrong][:limit]

    def interrupt(self):
        """Never long at work."""

    def close(self):
        """Holds nothing."""


@pytest.fixture
def speculating(target):
    """A model whose memory can forget a draft."""
    with target.load() as model:
        if Capability.SPECULATE not in model.capabilities:
            pytest.skip("its memory cannot forget a draft")
        yield model


@pytest.fixture
def own_engine(target):
    """The engine runs in this process, and its models can draft for each other."""
    if target.isolated:
        pytest.skip("its engine is in another process: no guesser reaches it, no second model")


def guessing(monkeypatch, future, numbers):
    """Have the next sessions draft by a guesser; returns those that are made."""
    made = []

    def make(speculate, engine):
        made.append(Guesser(future, numbers))
        return made[-1]

    monkeypatch.setattr(drafting, "make_drafter", make)
    return made


@pytest.mark.parametrize("sampling", [GREEDY, SEEDED], ids=["greedy", "seeded"])
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(numbers=st.integers(0, 2**32), max_tokens=st.integers(1, 40))
def test_any_drafts_leave_the_tokens_as_they_are(
    speculating, monkeypatch, sampling, numbers, max_tokens
):
    """Right, wrong and impossible ones; afterwards the session goes on as if nothing had been."""
    with speculating.open_session(PLAIN) as plain:
        expected = plain.complete(PROMPT, sampling=sampling, max_tokens=40)
        future = plain.tokens
        plain.rewind(to=len(future) - 40 + max_tokens)
        expected_more = plain.complete(" and", sampling=GREEDY, max_tokens=10)
    with monkeypatch.context() as patch:
        guessing(patch, future, numbers)
        params = SessionParams(reproducible=True, speculate=PromptLookup(max_draft=WIDTH - 1))
        with speculating.open_session(params) as session:
            done = session.complete(PROMPT, sampling=sampling, max_tokens=max_tokens)
            assert done.tokens == expected.tokens[:max_tokens]
            assert session.tokens == future[: len(future) - 40 + max_tokens]
            assert done.receipt.reproducible
            assert "8 tokens at a time" in done.receipt.reason
            more = session.complete(" and", sampling=GREEDY, max_tokens=10)
            assert more.tokens == expected_more.tokens


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(numbers=st.integers(0, 2**32), read=st.integers(1, 20), keep=st.floats(0, 1))
def test_after_a_cancel_a_rewind_and_a_fork_it_is_as_without(
    speculating, monkeypatch, numbers, read, keep
):
    """What was accepted and not seen is forgotten."""

    def talk(params):
        with speculating.open_session(params) as session:
            with session.generate(PROMPT, sampling=SEEDED, max_tokens=60) as stream:
                while stream.statistics().delivered_tokens < read:
                    next(stream)
            seen = stream.result.tokens
            session.rewind(to=int(keep * len(session.tokens)))
            with session.fork() as forked:
                more = forked.complete(" the quick", sampling=GREEDY, max_tokens=12)
                return seen, more.tokens, forked.tokens

    with speculating.open_session(PLAIN) as plain:
        plain.complete(PROMPT, sampling=SEEDED, max_tokens=60)
        future = plain.tokens
    expected = talk(PLAIN)
    with monkeypatch.context() as patch:
        guessing(patch, future, numbers)
        params = SessionParams(reproducible=True, speculate=PromptLookup(max_draft=WIDTH - 1))
        found = talk(params)
    # A chunk may carry several tokens of one step, so more may have been read.
    common = min(len(expected[0]), len(found[0]))
    assert expected[0][:common] == found[0][:common]
    if len(expected[0]) == len(found[0]):
        assert found == expected


@pytest.mark.usefixtures("own_engine")
def test_acceptance_is_counted(speculating, monkeypatch):
    """A drafter that is always right has all its drafts accepted, in fewer steps."""
    with speculating.open_session(PLAIN) as plain:
        plain.complete(PROMPT, sampling=GREEDY, max_tokens=33)
        future = plain.tokens

    class Right(Guesser):
        def propose(self, line, limit, over, deadline):
            return self.future[len(line) :][:limit]

    monkeypatch.setattr(drafting, "make_drafter", lambda *_: Right(future, 0))
    params = SessionParams(reproducible=True, speculate=PromptLookup(max_draft=WIDTH - 1))
    with (
        speculating.open_session(params) as session,
        session.generate(PROMPT, sampling=GREEDY, max_tokens=33) as stream,
    ):
        for _ in stream:
            pass
        timings = stream.result.timings
        assert session.tokens == future
        assert timings.drafted_tokens == timings.accepted_tokens == 28
        assert timings.acceptance_rate == 1.0
        assert stream.statistics().steps <= 6
        assert timings.decode_tokens == 32


def test_what_is_judged_by_itself_leaves_the_tokens_as_they_are(speculating):
    """Whatever the clock says; where calls are filled up, what was found is drafted."""
    with speculating.open_session(PLAIN) as plain:
        expected = plain.complete(PROMPT, sampling=GREEDY, max_tokens=33)
    auto = SessionParams(reproducible=True, decode_width=WIDTH, speculate="auto")
    with speculating.open_session(auto) as session:
        done = session.complete(PROMPT, sampling=GREEDY, max_tokens=33)
    assert done.tokens == expected.tokens
    with speculating.open_session(SessionParams(speculate="auto")) as session:
        done = session.complete(PROMPT, sampling=GREEDY, max_tokens=33, ignore_eog=True)
    assert len(done.tokens) == 33


def test_neighbours_write_what_they_write_alone(speculating, target):
    """Rows with and without drafts in one step; on the fake a token depends on history alone."""
    if not target.name.startswith("fake"):
        pytest.skip("co-batched sessions of a real model are not reproducible")
    prompts = ["ab ab ab ab ", "cd cd cd cd ", PROMPT]

    def complete(params, prompt):
        with speculating.open_session(params) as session:
            return session.complete(prompt, sampling=GREEDY, max_tokens=30).tokens

    alone = [complete(SessionParams(), prompt) for prompt in prompts]
    lookup = SessionParams(speculate=PromptLookup(ngram=1, min_ngram=1))
    kinds = [lookup, SessionParams(), lookup]
    sessions = [speculating.open_session(params) for params in kinds]
    streams = [
        session.generate(prompt, sampling=GREEDY, max_tokens=30)
        for session, prompt in zip(sessions, prompts, strict=True)
    ]
    found = [[], [], []]
    while any(found_one is not None for found_one in streams):
        for index, stream in enumerate(streams):
            chunk = next(stream, None) if stream is not None else None
            if chunk is None:
                streams[index] = None
            else:
                found[index].extend(chunk.tokens)
    assert [tuple(each) for each in found] == alone
    for session in sessions:
        session.close()


@pytest.mark.usefixtures("own_engine")
def test_logprobs_are_those_of_each_place(speculating, monkeypatch):
    """Several tokens of one step have their own."""
    sampling = SamplingParams(temperature=0.0, logprobs=2)
    with speculating.open_session(PLAIN) as plain:
        expected = plain.complete(PROMPT, sampling=sampling, max_tokens=20)
        future = plain.tokens
    guessing(monkeypatch, future, 3)
    params = SessionParams(reproducible=True, speculate=PromptLookup(max_draft=WIDTH - 1))
    with speculating.open_session(params) as session:
        done = session.complete(PROMPT, sampling=sampling, max_tokens=20)
    assert done.tokens == expected.tokens
    assert done.logprobs == expected.logprobs
    assert done.timings.accepted_tokens


@pytest.mark.usefixtures("own_engine")
def test_a_model_drafts_for_itself(speculating):
    """Computed one by one and several at a time it agrees with itself nearly always."""
    params = SessionParams(
        reproducible=True, speculate=DraftModel(model=speculating, max_draft=WIDTH - 1)
    )
    with speculating.open_session(PLAIN) as plain:
        expected = plain.complete(PROMPT, sampling=GREEDY, max_tokens=40)
    with speculating.open_session(params) as session:
        done = session.complete(PROMPT, sampling=GREEDY, max_tokens=40)
        assert done.tokens == expected.tokens
        assert done.timings.acceptance_rate > 0.9


@pytest.mark.usefixtures("own_engine")
def test_a_draft_model_that_is_closed_drafts_no_more(speculating, target):
    """And the generation goes on without."""
    small = target.load()
    params = SessionParams(
        reproducible=True, speculate=DraftModel(model=small, max_draft=WIDTH - 1)
    )
    with speculating.open_session(PLAIN) as plain:
        expected = plain.complete(PROMPT, sampling=GREEDY, max_tokens=30)
    with speculating.open_session(params) as session:
        with session.generate(PROMPT, sampling=GREEDY, max_tokens=30) as stream:
            next(stream)
            small.close()
            for _ in stream:
                pass
        assert stream.result.tokens == expected.tokens


def test_the_context_is_full_at_the_same_token(target, monkeypatch):
    """A run of accepted tokens does not go beyond it."""
    with target.load(n_ctx=128) as model:
        if Capability.SPECULATE not in model.capabilities:
            pytest.skip("its memory cannot forget a draft")
        with model.open_session(PLAIN) as plain:
            expected = plain.complete(PROMPT, sampling=GREEDY)
            future = plain.tokens
        guessing(monkeypatch, future, 1)
        params = SessionParams(reproducible=True, speculate=PromptLookup(max_draft=WIDTH - 1))
        with model.open_session(params) as session:
            done = session.complete(PROMPT, sampling=GREEDY)
            assert done.stop_reason is expected.stop_reason is StopReason.CONTEXT_FULL
            assert session.tokens == future


def test_what_cannot_be_is_refused(target):
    """With a hint, when the session opens."""
    lookup = PromptLookup(max_draft=4)
    with target.load() as model:
        if Capability.SPECULATE in model.capabilities:
            with pytest.raises(headrace.ParamsError, match="decode_width must be at least 5"):
                model.open_session(
                    SessionParams(reproducible=True, speculate=lookup, decode_width=4)
                )
            with pytest.raises(headrace.ParamsError, match="does not fit"):
                model.open_session(SessionParams(reproducible=True, decode_width=64))
        else:
            with pytest.raises(headrace.UnsupportedError) as caught:
                model.open_session(SessionParams(speculate=lookup))
            assert "without speculate" in caught.value.hint


def test_steps_with_drafts_are_not_wider_than_they_may_be(speculating):
    """Many speculating sessions at once share the room for drafts."""
    params = SessionParams(speculate=PromptLookup(ngram=1, min_ngram=1, max_draft=31))
    sessions = [speculating.open_session(params) for _ in range(4)]
    streams = [
        session.generate("aaaa bbbb " * (index + 2), sampling=GREEDY, max_tokens=24)
        for index, session in enumerate(sessions)
    ]
    for _ in range(24):
        for stream in streams:
            next(stream, None)
    for session, stream in zip(sessions, streams, strict=True):
        assert next(stream, None) is None
        assert len(stream.result.tokens) == 24
        session.close()
    assert all(stream.result.timings.drafted_tokens for stream in streams)
