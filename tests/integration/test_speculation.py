"""Speculation on a real model: the same tokens, and the same bits of every logit looked at.

Gemma has quantized weights, where llama.cpp computes a batch in other ways than a token alone,
and a window of 512 tokens, beyond which memory forgets by itself.
"""

from __future__ import annotations

import random

import pytest

import headrace
from headrace import DraftModel, EngineParams, PromptLookup, SamplingParams, SessionParams
from headrace.engine import drafting

WIDTH = 8
WIDE = SessionParams(reproducible=True, decode_width=WIDTH)
LOOKUP = SessionParams(reproducible=True, speculate=PromptLookup(max_draft=WIDTH - 1))
GREEDY = SamplingParams(temperature=0.0, logprobs=2)
SEEDED = SamplingParams(temperature=0.8, seed=11, logprobs=2)
LIST = "apples, pears, quinces, plums, figs, dates and limes"
SHORT = f"Buy {LIST}. What to buy, once more: apples, pears,"
LONG = " ".join(f"On day {day} the {LIST} were sold." for day in range(1, 31)) + " On day 31 the"
KINDS = pytest.mark.parametrize(
    ("prompt", "tokens"), [(SHORT, 20), (LONG, 10)], ids=["short", "beyond-the-window"]
)
SAMPLINGS = pytest.mark.parametrize("sampling", [GREEDY, SEEDED], ids=["greedy", "seeded"])


@pytest.fixture(scope="module")
def model(gemma_path):
    """Gemma, with room for one session at a time in memory."""
    engine = EngineParams(n_ctx=1024, n_threads=1, n_sequences=1)
    with headrace.load_model(gemma_path, engine=engine) as loaded:
        yield loaded


def write(model, params, prompt, sampling, tokens):
    """What a fresh session writes."""
    with model.open_session(params) as session:
        return session.complete(prompt, sampling=sampling, max_tokens=tokens, ignore_eog=True)


class Guesser:
    """Some tokens of what will come, then some that will not."""

    def __init__(self, future):
        self.future = future
        self.random = random.Random(5)

    def propose(self, line, limit, over, deadline):
        """As many right ones as it draws."""
        right = self.future[len(line) :][: self.random.randint(0, limit)]
        return [*right, *(self.random.randint(1000, 2000) for _ in range(limit))][:limit]

    def interrupt(self):
        """Never long at work."""

    def close(self):
        """Holds nothing."""


@KINDS
@SAMPLINGS
def test_drafts_change_no_bit(model, monkeypatch, sampling, prompt, tokens):
    """Looked up, or guessed partly right: tokens and log-probabilities are those without."""
    with model.open_session(WIDE) as session:
        expected = session.complete(prompt, sampling=sampling, max_tokens=tokens, ignore_eog=True)
        future = session.tokens
    assert len(future) > 512 or prompt == SHORT
    found = write(model, LOOKUP, prompt, sampling, tokens)
    assert found.tokens == expected.tokens
    assert found.logprobs == expected.logprobs
    monkeypatch.setattr(drafting, "make_drafter", lambda *_: Guesser(future))
    found = write(model, LOOKUP, prompt, sampling, tokens)
    assert 0 < found.timings.accepted_tokens < found.timings.drafted_tokens
    assert found.tokens == expected.tokens
    assert found.logprobs == expected.logprobs


@KINDS
def test_memory_that_was_lost_is_rebuilt_to_the_bit(model, prompt, tokens):
    """Also where what is rebuilt ends inside a call's width."""
    expected = write(model, WIDE, prompt, GREEDY, tokens)
    for params in (WIDE, LOOKUP):
        with model.open_session(params) as session, model.open_session(WIDE) as other:
            done = session.complete(prompt, sampling=GREEDY, max_tokens=tokens, ignore_eog=True)
            for back in (1, 4, tokens - 1):
                other.reset()
                other.complete("x", max_tokens=1)  # takes the only place that is apart
                session._engine.slots.drop_aside(session._sequence)
                session.rewind(to=len(session.tokens) - back)
                done = session.complete(None, sampling=GREEDY, max_tokens=back, ignore_eog=True)
                assert done.usage.cached_tokens == 0
                assert done.logprobs == expected.logprobs[-back:]


@KINDS
def test_memory_that_made_way_comes_back_to_the_bit(model, prompt, tokens):
    """As it was where all of it can be put back, else by a rebuild."""
    expected = write(model, WIDE, prompt, GREEDY, tokens)
    with model.open_session(WIDE) as session, model.open_session(WIDE) as other:
        session.complete(prompt, sampling=GREEDY, max_tokens=tokens - 4, ignore_eog=True)
        other.complete("x", max_tokens=1)
        done = session.complete(None, sampling=GREEDY, max_tokens=4, ignore_eog=True)
        within = len(session.tokens) < 512
        assert (done.usage.cached_tokens > 0) == within
        assert done.logprobs == expected.logprobs[-4:]


def test_a_prompt_in_pieces_is_a_prompt_in_one(model):
    """As long as it is no wider than a call."""
    pieces = model.tokenize("One, two, three")
    assert 3 < len(pieces) <= WIDTH
    expected = write(model, WIDE, pieces, GREEDY, 4)
    for cut in range(1, len(pieces)):
        with model.open_session(WIDE) as session:
            session.complete(pieces[:cut], max_tokens=0)
            done = session.complete(pieces[cut:], sampling=GREEDY, max_tokens=4, ignore_eog=True)
            assert done.logprobs == expected.logprobs


def test_a_model_that_drafts_for_itself_is_nearly_always_right(model):
    """And changes no bit."""
    expected = write(model, WIDE, SHORT, GREEDY, 16)
    draft = DraftModel(model=model, max_draft=WIDTH - 1, min_probability=0.2)
    found = write(model, SessionParams(reproducible=True, speculate=draft), SHORT, GREEDY, 16)
    assert found.logprobs == expected.logprobs
    assert found.timings.acceptance_rate > 0.7
