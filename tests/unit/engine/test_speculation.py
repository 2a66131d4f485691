"""Speculation when something fails: in a step with a draft, in the drafter, or in between."""

from __future__ import annotations

import contextlib
import logging
import time

import pytest

from headrace import (
    DecodeError,
    DraftModel,
    PromptLookup,
    Regex,
    SamplingParams,
    SessionParams,
    StopReason,
)
from headrace.engine import drafting
from tests.unit.engine.conftest import GREEDY
from tests.unit.engine.test_interrupted_driver import ERRORS, InterruptAt, places

LOOKUP = PromptLookup(ngram=1, min_ngram=1, max_draft=4)
SCRIPT = "abc abc abc abc abc "


def stream(engine, speculate=LOOKUP, prompt="abc abc", tokens=12, **params):
    """A speculating stream of a session of its own."""
    session = engine.model.open_session(SessionParams(speculate=speculate, **params))
    return session.generate(prompt, sampling=GREEDY, max_tokens=tokens, ignore_eog=True)


class Raises:
    """A drafter with a fault."""

    def __init__(self, error):
        self.error = error
        self.asked = 0

    def propose(self, line, limit, over, deadline):
        """Fails."""
        self.asked += 1
        raise self.error

    def interrupt(self):
        """Never long at work."""

    def close(self):
        """Holds nothing."""


@pytest.mark.parametrize("fault", ["row", "failed", "poisoned", "raise"])
@pytest.mark.parametrize("width", [{}, {"reproducible": True}], ids=["plain", "reproducible"])
def test_a_fault_in_a_step_with_a_draft_ends_the_stream(fake, fault, width):
    """As in any step; the session, or after poison a new one, goes on with the right tokens."""
    expected = fake(script=SCRIPT).tokens("abc abc", max_tokens=12)
    drafted = []
    engine = fake(
        script=SCRIPT,
        fault_at=3,
        fault=fault,
        on_step=lambda step, rows: drafted.append(any(row.draft for row in rows)),
    )
    failing = stream(engine, **width)
    with pytest.raises(DecodeError) as caught:
        list(failing)
    assert drafted[2]
    assert caught.value.poisoned is (fault == "poisoned")
    session = failing._owner
    if caught.value.poisoned:
        found = stream(engine, **width)
        list(found)
        assert found.result.tokens == expected
    else:
        seen = len(session.tokens)
        rest = session.complete(" and", sampling=GREEDY, max_tokens=4, ignore_eog=True)
        assert len(session.tokens) == seen + len(" and") + len(rest.tokens)


@pytest.mark.parametrize("fault", ["no_room", "interrupted"])
def test_a_step_with_a_draft_that_comes_to_nothing_is_tried_again(fake, fault):
    """Without drafts if there was no room; the tokens are the same, and drafts come back."""
    expected = fake(seed=5).tokens("abc abc", max_tokens=30)
    steps = []
    engine = fake(
        seed=5, fault_at=4, fault=fault, on_step=lambda step, rows: steps.append(rows[0].draft)
    )
    small = fake(seed=5)
    found = stream(engine, DraftModel(model=small.model, max_draft=4), tokens=30)
    list(found)
    assert found.result.tokens == expected
    assert steps[3]
    assert bool(steps[4]) is (fault == "interrupted")
    assert any(steps[5:])


def test_ctrl_c_in_a_step_with_a_draft_keeps_what_was_read(fake):
    """The session goes on from there."""
    engine = fake(script=SCRIPT, fault_at=3, fault="keyboard_interrupt")
    victim = stream(engine)
    with pytest.raises(KeyboardInterrupt):
        list(victim)
    list(victim)
    session = victim._owner
    seen = session.tokens
    rest = session.complete(None, sampling=GREEDY, max_tokens=3, ignore_eog=True)
    assert session.tokens == seen + list(rest.tokens)


@pytest.mark.parametrize(
    "error", [DecodeError("lost", poisoned=True), RuntimeError("odd"), OSError("gone")]
)
def test_a_drafter_that_fails_harms_nobody(fake, monkeypatch, caplog, error):
    """The session is told of in a warning and goes on without; the engine stays usable."""
    engine = fake()
    drafter = Raises(error)
    monkeypatch.setattr(drafting, "make_drafter", lambda *_: drafter)
    with caplog.at_level(logging.WARNING, "headrace"):
        found, other = stream(engine), engine.stream("other", max_tokens=6)
        list(found)
    list(other)
    assert found.result.tokens == engine.tokens("abc abc", max_tokens=12)
    assert other.result.tokens == engine.tokens("other", max_tokens=6)
    assert drafter.asked == 1
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize("fault", ["row", "failed", "poisoned", "raise", "no_room", "interrupted"])
def test_a_fault_in_the_small_model_harms_nobody(fake, caplog, fault):
    """It is slower without, and that is all."""
    engine, small = fake(), fake(fault_at=5, fault=fault)
    found = stream(engine, DraftModel(model=small.model, max_draft=3), tokens=20)
    list(found)
    assert found.result.tokens == engine.tokens("abc abc", max_tokens=20)
    passing = fault in ("no_room", "interrupted")
    assert ("speculation is off" in caplog.text) is not passing
    assert (found.result.timings.accepted_tokens > 8) is passing


def test_what_an_interrupted_draft_has_computed_is_kept(fake):
    """A small model whose steps are always cut short gets through its prompt all the same."""
    prompt = "a long prompt " * 8
    lengths = []
    small = fake(
        fault_at=range(1, 6),
        fault="interrupted",
        on_step=lambda step, rows: lengths.append(rows[0].position),
    )
    found = stream(fake(), DraftModel(model=small.model, max_draft=3), prompt, 24)
    list(found)
    assert lengths[:6] == sorted(lengths[:6])
    assert lengths[5] > lengths[0]
    assert found.result.timings.accepted_tokens


def test_all_drafts_of_a_timed_pull_share_its_time(fake, monkeypatch):
    """The deadline that a drafter gets is that of the read, however many draft before it."""
    engine = fake()
    deadlines = []

    class Slow(Raises):
        def propose(self, line, limit, over, deadline):
            deadlines.append((time.monotonic(), deadline))
            return ()

    monkeypatch.setattr(drafting, "make_drafter", lambda *_: Slow(None))
    streams = [stream(engine, tokens=9) for _ in range(3)]
    for each in streams:
        next(each)
    deadlines.clear()
    while not deadlines:  # what it is ahead by comes without a step
        assert streams[0]._generation.pull(50.0).end is None
    found = {deadline for _, deadline in deadlines}
    assert len(deadlines) >= 2
    assert len(found) == 1


def interrupted(fake, position, error=KeyboardInterrupt, **kinds):
    """A speculating stream and a plain one; the first's driver dies at a place in the engine."""
    engine = fake()
    small = fake() if kinds.pop("small") else None
    speculate = DraftModel(model=small.model, max_draft=2) if small else LOOKUP
    victim = stream(engine, speculate, tokens=12, **kinds)
    other = stream(engine, LOOKUP, prompt="other other", tokens=6)
    next(victim)
    next(other)
    interrupter = InterruptAt(position, error)
    with contextlib.suppress(error), interrupter:
        next(victim)
        next(victim)
    list(other)
    list(victim)
    session = victim._owner
    seen = list(session.tokens)
    rest = session.complete(None, sampling=GREEDY, max_tokens=3, ignore_eog=True)
    assert session.tokens == seen + list(rest.tokens)
    return interrupter.fired, other.result, victim.result, seen


@pytest.mark.parametrize(
    "kinds",
    [{"small": False}, {"small": True}, {"small": False, "reproducible": True}],
    ids=["lookup", "draft-model", "reproducible"],
)
@pytest.mark.parametrize("error", ERRORS)
def test_no_bytecode_of_drafting_is_a_bad_place_to_die(fake, kinds, error):
    """The others get all their tokens, the history is what was seen, nothing stays locked."""
    expected_other = fake().tokens("other other", max_tokens=6)
    expected_victim = fake().tokens("abc abc", max_tokens=12)
    interrupted(fake, 10**9, **kinds)  # see test_interrupted_driver.py
    (position, step), fired = places(error), True
    while fired:
        fired, other, victim, seen = interrupted(fake, position, error, **kinds)
        assert other.tokens == expected_other, position
        assert victim.tokens == expected_victim[: len(victim.tokens)], position
        if victim.stop_reason is StopReason.CANCELLED and victim.tokens:
            assert seen[-len(victim.tokens) :] == list(victim.tokens), position
        position += step
    assert position > 150


def test_a_cancel_while_drafting_ends_the_draft(fake):
    """The small model's step is interrupted, and nothing more is computed for the stream."""
    engine, targets = fake(), []
    small = fake(on_step=lambda step, rows: len(targets) and targets[0].cancel())
    victim = stream(engine, DraftModel(model=small.model, max_draft=4))
    next(victim)
    targets.append(victim)
    list(victim)
    assert victim.result.stop_reason is StopReason.CANCELLED
    session = victim._owner
    targets.clear()
    rest = session.complete(None, sampling=GREEDY, max_tokens=8, ignore_eog=True)
    done = len(victim.result.tokens)
    assert (*victim.result.tokens, *rest.tokens) == engine.tokens("abc abc", max_tokens=done + 8)
    assert rest.timings.accepted_tokens


def test_drafts_keep_to_a_grammar(fake):
    """What is accepted is what the sampler would have chosen under it."""
    grammar = Regex("(abc ){5}")
    # With likelihoods, so that what must come is drafted too, instead of being leapt over.
    sampling = SamplingParams(temperature=0.0, grammar=grammar, logprobs=0)

    def write(**params):
        with fake(seed=9).model.open_session(SessionParams(**params)) as session:
            return session.complete("abc abc ", sampling=sampling, max_tokens=40)

    plain, found = write(), write(speculate=LOOKUP)
    assert plain.text == found.text == "abc " * 5
    assert found.stop_reason is StopReason.EOG
    assert found.timings.accepted_tokens


def test_an_evicted_session_drafts_again_after_its_rebuild(fake):
    """More sessions than places in memory; each writes what it would alone."""
    engine = fake(engine={"n_sequences": 2})
    prompts = ["abc abc", "abd abd", "abe abe", "abf abf"]
    streams = [stream(engine, prompt=prompt, tokens=90) for prompt in prompts]
    for _ in range(90):
        for each in streams:
            next(each, None)
    for each, prompt in zip(streams, prompts, strict=True):
        assert each.result.tokens == engine.tokens(prompt, max_tokens=90)


def test_a_call_that_samples_computes_as_many_logits_as_every_other(fake):
    """A rebuild that ends inside the width leaves the last token to a call of its own."""
    rows_seen = []
    engine = fake(engine={"n_sequences": 1}, on_step=lambda step, rows: rows_seen.extend(rows))
    params = SessionParams(reproducible=True, decode_width=8)
    with engine.model.open_session(params) as session, engine.model.open_session() as other:
        for prompt in ("a prompt that is longer than a call", "short"):
            rows_seen.clear()
            session.reset()
            session.complete(prompt, sampling=GREEDY, max_tokens=12, ignore_eog=True)
            for back in (1, 4, 9):
                mine = list(rows_seen)
                other.complete("x", max_tokens=1)
                rows_seen[:] = mine
                session.rewind(to=len(session.tokens) - back)
                session.complete(None, sampling=GREEDY, max_tokens=back, ignore_eog=True)
            sampled = [row for row in rows_seen if row.sampler is not None]
            narrow = [row for row in sampled if len(row.tokens) <= 8]
            assert len(narrow) > 12
            assert all(len(row.tokens) == 1 and len(row.draft) == 7 for row in narrow)


@pytest.mark.parametrize(("wrote", "reads"), [(None, 8), (8, None), (8, 4)])
def test_a_memory_of_another_width_is_computed_again(fake, wrote, reads):
    """It is no use to a session that must be the same to the last bit."""
    engine = fake()

    def opened(width):
        return engine.model.open_session(SessionParams(reproducible=True, decode_width=width))

    with opened(wrote) as session:
        session.complete("a prompt", sampling=GREEDY, max_tokens=5, ignore_eog=True)
        data = session.state()
        length = len(session.tokens)
        for width, cached in ((reads, 0), (wrote, length - 1)):
            with opened(width) as other:
                other.load_state(data)
                done = other.complete(None, sampling=GREEDY, max_tokens=4, ignore_eog=True)
                assert done.usage.cached_tokens == cached
                assert done.tokens == engine.tokens("a prompt", max_tokens=9)[5:]
