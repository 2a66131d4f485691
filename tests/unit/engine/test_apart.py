"""Reproducible sessions have a place apart, and a receipt says so only where that is true."""

from __future__ import annotations

import pytest

import headrace
from headrace import EngineParams, SamplingParams, SessionParams
from headrace_fake import FakeBackend

GREEDY = SamplingParams(temperature=0.0)
ALONE = SessionParams(reproducible=True)


def complete(session, prompt="go on", max_tokens=8):
    """A greedy completion."""
    return session.complete(prompt, sampling=GREEDY, max_tokens=max_tokens)


def test_a_reproducible_session_is_not_among_the_others(fake):
    """Its tokens are in a memory that no other session gets, which may be full with theirs."""
    engine = fake(engine={"n_ctx": 64, "n_sequences": 1}, placement="apart")
    plain = engine.model.open_session()
    alone = engine.model.open_session(ALONE)
    for _ in range(3):
        complete(plain, max_tokens=8)
        complete(alone, max_tokens=8)
    assert complete(plain, max_tokens=1).usage.cached_tokens == len(plain.tokens) - 7
    assert engine.model.memory_usage().cells == len(plain.tokens) + len(alone.tokens) - 2


@pytest.mark.parametrize(
    ("placement", "promised", "reason"),
    [
        ("ignored", True, "computed alone"),
        ("apart", True, "computed alone"),
        ("shared", False, "keeps its memory among that of other sessions"),
    ],
)
def test_a_receipt_promises_what_the_memory_can_keep(fake, placement, promised, reason):
    """A decoder that has no place apart and does not do without is not believed."""
    engine = fake(placement=placement)
    done = complete(engine.model.open_session(ALONE))
    assert done.receipt.reproducible is promised
    assert reason in done.receipt.reason


def test_what_was_computed_among_others_is_loaded_into_no_reproducible_session(fake):
    """Its state says what it is, so that only the history counts."""
    engine = fake(placement="shared")
    session = engine.model.open_session(ALONE)
    complete(session)
    other = engine.model.open_session(ALONE)
    other.load_state(session.state())
    assert complete(other, None).usage.cached_tokens == 0


@pytest.mark.parametrize("truncation", ["any", "none"])
def test_what_makes_way_for_another_comes_back(fake, truncation):
    """Nothing of it is computed again, as long as all of them would fit into memory."""
    engine = fake(engine={"n_sequences": 3}, placement="apart", truncation=truncation)
    sessions = [engine.model.open_session(ALONE) for _ in range(3)]
    for _ in range(2):
        for session in sessions:
            before = len(session.tokens)
            done = complete(session)
            assert done.usage.cached_tokens == max(0, before - 1)
    assert [session.memory_usage().stored_bytes > 0 for session in sessions] == [True, True, False]


def test_what_makes_way_is_limited(fake):
    """No more is kept than the sessions together could have in memory; the oldest goes."""
    engine = fake(engine={"n_ctx": 64}, placement="apart")
    sessions = [engine.model.open_session(ALONE) for _ in range(4)]
    for session in sessions:
        complete(session, "x" * 20)
    kept = [session.memory_usage().stored_bytes > 0 for session in sessions]
    assert kept == [False, True, True, False]  # the last one has the place


def test_a_closed_session_leaves_nothing_aside(fake):
    """Nor does the engine keep the bytes."""
    engine = fake(placement="apart")
    first, second = (engine.model.open_session(ALONE) for _ in range(2))
    complete(first)
    complete(second)
    kept = first._sequence.stored
    assert kept is not None
    first.close()
    assert kept not in first._engine.slots._aside.values()


def test_a_place_that_does_not_fit_is_refused_when_the_session_is_opened():
    """With the error of a context that does not fit, and plain sessions go on."""
    backend = FakeBackend(placement="apart", memory=1_500_000)
    with headrace.load_model("fake:", backend=backend, engine=EngineParams(n_ctx=400)) as model:
        plain = model.open_session()
        with pytest.raises(headrace.ModelMemoryError):
            model.open_session(ALONE)
        assert complete(plain).tokens


def test_no_place_is_made_until_one_is_asked_for(fake):
    """Plain sessions cost what they did."""
    engine = fake(placement="apart", n_ctx=100)
    complete(engine.model.open_session())
    before = engine.model.memory_usage().cache
    engine.model.open_session(ALONE)
    assert engine.model.memory_usage().cache == 2 * before


def test_what_others_found_of_memory_does_not_cut_a_prompt(fake):
    """A plain prompt that found no room is cut; a reproducible one after it is not."""
    calls = []
    engine = fake(
        placement="apart",
        fault_at=(1,),
        fault="no_room",
        n_batch=64,
        on_step=lambda step_id, rows: calls.append([len(row.tokens) for row in rows]),
    )
    plain = engine.model.open_session().generate("x" * 40, sampling=GREEDY, max_tokens=4)
    alone = engine.model.open_session(ALONE).generate("y" * 40, sampling=GREEDY, max_tokens=4)
    plain._generation.run.wanted = True  # its reader waits, and so it is in the step that fails
    next(plain)
    assert [41] in calls
    next(alone)
    assert calls.count([41]) == 2
    plain.close()
    alone.close()


def test_a_prompt_that_is_cut_for_want_of_room_is_not_promised(fake):
    """Another run may find room; the next history is promised again."""
    engine = fake(placement="apart", fault_at=(1,), fault="no_room", n_batch=64)
    session = engine.model.open_session(ALONE)
    done = complete(session, "x" * 40)
    assert not done.receipt.reproducible
    assert "memory was full" in done.receipt.reason
    assert not complete(session.fork()).receipt.reproducible
    session.reset()
    assert complete(session).receipt.reproducible


def test_a_call_that_cannot_be_interrupted_does_not_cut_by_the_clock(fake):
    """A reproducible prompt is cut by ``n_batch`` alone, however long its calls take."""
    calls = []
    engine = fake(
        interruptible=False,
        prefill_delay=0.001,
        n_batch=128,
        on_step=lambda step_id, rows: calls.append(len(rows[0].tokens)),
    )
    for _ in range(2):
        with engine.model.open_session(ALONE) as session:
            complete(session, "x" * 300, 1)
    assert calls == [128, 128, 45] * 2
