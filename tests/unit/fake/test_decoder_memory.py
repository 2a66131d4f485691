"""The fake's memory: truncation, copies, room, and what an ended step leaves."""

from __future__ import annotations

import pytest

from headrace.errors import DecodeError
from headrace.params import EngineParams, SamplingParams
from headrace.protocols import Row, StepStatus, Truncation
from headrace_fake import BOS, MisuseError

TEN = list(range(10))


def test_a_step_keeps_its_tokens_in_memory(open_bench):
    """Row by row, at the end."""
    bench = open_bench()
    assert bench.run(TEN).rows[0].length == 10
    assert bench.run([BOS], sequence=3).rows[0].length == 1
    assert bench.run([7]).rows[0].length == 11
    assert bench.decoder.memory(0) == [*TEN, 7]
    assert bench.decoder.memory(3) == [BOS]


@pytest.mark.parametrize("kind", list(Truncation))
def test_clearing_and_keeping_all_always_work(open_bench, kind):
    """Whatever the kind of memory; a longer length than there is keeps all."""
    bench = open_bench(truncation=kind)
    bench.run(TEN)
    assert bench.decoder.truncate(0, 10) == 10
    assert bench.decoder.truncate(0, 99) == 10
    bench.decoder.clear(0)
    assert bench.decoder.memory(0) == []


def test_attention_forgets_down_to_any_length(open_bench):
    """And goes on from there."""
    bench = open_bench(truncation="any")
    bench.run(TEN)
    assert bench.decoder.truncate(0, 4) == 4
    bench.run([9])
    assert bench.decoder.memory(0) == [0, 1, 2, 3, 9]


def test_a_sliding_window_forgets_only_recent_tokens(open_bench):
    """Too far back, all is lost; and the window does not slide back after a truncation."""
    bench = open_bench(truncation="recent", reach=3)
    bench.run(TEN)
    assert bench.decoder.truncate(0, 8) == 8
    assert bench.decoder.truncate(0, 7) == 7
    assert bench.decoder.truncate(0, 6) == 0
    bench.run([1, 2, 3])
    assert bench.decoder.truncate(0, 1) == 1


def test_recurrent_memory_forgets_nothing_or_all(open_bench):
    """A partial removal clears."""
    bench = open_bench(truncation="none")
    bench.run(TEN)
    assert bench.decoder.truncate(0, 9) == 0
    assert bench.decoder.memory(0) == []


def test_a_copy_is_independent_of_its_source(open_bench):
    """Both go on by themselves."""
    bench = open_bench()
    bench.run(TEN)
    assert bench.decoder.copy(0, 1, 4) == 4
    bench.run([5], sequence=1)
    assert bench.decoder.memory(0) == TEN
    assert bench.decoder.memory(1) == [0, 1, 2, 3, 5]


def test_recurrent_memory_copies_only_whole(open_bench):
    """0 says that nothing was copied."""
    bench = open_bench(truncation="none")
    bench.run(TEN)
    assert bench.decoder.copy(0, 1, 4) == 0
    assert bench.decoder.copy(0, 1, 10) == 10


def test_a_copy_that_does_not_fit_is_refused(open_bench):
    """Copies take room of their own."""
    bench = open_bench(engine=EngineParams(n_ctx=16))
    bench.run(TEN)
    assert bench.decoder.copy(0, 1, 10) == 0
    assert bench.decoder.copy(0, 1, 6) == 6


def test_rows_that_do_not_fit_change_nothing(open_bench):
    """``NO_ROOM`` counts all sequences together."""
    bench = open_bench(engine=EngineParams(n_ctx=16))
    bench.run(TEN)
    outcome = bench.run(TEN, sequence=1)
    assert outcome.status is StepStatus.NO_ROOM
    assert not outcome.rows
    assert bench.decoder.memory(1) == []
    assert bench.run(TEN[:6], sequence=1).status is StepStatus.DONE


def test_the_budget_is_the_engines_and_the_models_limit_holds_per_sequence(open_bench):
    """None takes the model's own limit, at most 4096."""
    assert open_bench(n_ctx=64).decoder.info.n_ctx == 64
    assert open_bench(n_ctx=10**6).decoder.info.n_ctx == 4096
    info = open_bench(n_ctx=64, engine=EngineParams(n_ctx=256)).decoder.info
    assert (info.n_ctx, info.n_ctx_sequence) == (256, 64)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "no rows"),
        ([Row(0, 1, [1], None)], "at position 1, its memory holds 0"),
        ([Row(8, 0, [1], None)], r"sequence 8 is not one of 0 … 7"),
        ([Row(-1, 0, [1], None)], "sequence -1"),
        ([Row(0, 0, [], None)], "no tokens"),
        ([Row(0, 0, [263], None)], "outside the vocabulary"),
        ([Row(0, 0, [-1], None)], "outside the vocabulary"),
        ([Row(0, 0, [1], None), Row(0, 1, [1], None)], "two rows of sequence 0"),
        ([Row(0, 0, [1] * 9, None)], "9 tokens, more than n_batch=8"),
        ([Row(0, 0, [1], object())], "a sampler that another decoder made"),
    ],
)
def test_a_step_that_breaks_the_protocol_is_refused_and_noted(open_bench, rows, told):
    """Nothing is changed, and the test at the end can still ask for it."""
    bench = open_bench(engine=EngineParams(n_batch=8))
    with pytest.raises(MisuseError, match=told):
        bench.decoder.step(1, rows)
    assert [str(error) for error in bench.backend.violations]
    assert bench.decoder.used == 0
    assert bench.decoder.outcome(1) is None


def test_other_misuse_is_refused_too(open_bench):
    """Stale ids, closed samplers, full targets, wrong lengths, closed decoders."""
    bench = open_bench(can_copy=False)
    sampler = bench.sampler()
    sampler.close()
    sampler.close()
    calls = [
        (lambda: bench.run([1], sampler), "a sampler that is closed"),
        (lambda: bench.decoder.truncate(0, -1), "length of -1"),
        (lambda: bench.decoder.copy(0, 1, 0), "can_copy is False"),
        (lambda: bench.decoder.step(0, [Row(0, 0, [1], None)]), "comes after step"),
    ]
    bench.run([1])
    for call, told in calls:
        with pytest.raises(MisuseError, match=told):
            call()
    bench.decoder.close()
    bench.decoder.close()
    with pytest.raises(MisuseError, match="after it was closed"):
        bench.run([1])
    with pytest.raises(MisuseError, match="after it was closed"):
        bench.decoder.new_sampler(SamplingParams(), seed=1, recent=(), ban_eog=False)


@pytest.mark.parametrize(
    ("target", "length", "told"), [(0, 1, "not empty"), (1, 1, "not empty"), (2, 11, "11 tokens")]
)
def test_copies_that_make_no_sense_are_refused(open_bench, target, length, told):
    """Onto itself, onto something, or of more than there is."""
    bench = open_bench()
    bench.run(TEN)
    bench.run(TEN, sequence=1)
    with pytest.raises(MisuseError, match=told):
        bench.decoder.copy(0, target, length)


@pytest.mark.parametrize(
    ("fault", "status", "kept"),
    [
        ("failed", StepStatus.FAILED, {"any": 15, "recent": 15, "none": 0}),
        ("poisoned", StepStatus.FAILED, {"any": 15, "recent": 15, "none": 0}),
        ("interrupted", StepStatus.INTERRUPTED, {"any": 15, "recent": 15, "none": 0}),
        ("no_room", StepStatus.NO_ROOM, {"any": 10, "recent": 10, "none": 10}),
        ("row", StepStatus.DONE, {"any": 20, "recent": 20, "none": 20}),
    ],
)
@pytest.mark.parametrize("kind", ["any", "recent", "none"])
def test_a_fault_leaves_memory_as_that_kind_of_memory_would(open_bench, fault, status, kept, kind):
    """Finished parts stay in attention; a recurrent sequence in a broken step is lost."""
    bench = open_bench(fault_at=2, fault=fault, truncation=kind, seed=1)
    bench.run(TEN)
    outcome = bench.run(TEN, bench.sampler())
    assert outcome.status is status
    assert len(bench.decoder.memory(0)) == kept[kind]
    for row in outcome.rows:
        assert row.length == kept[kind]
        assert row.tokens == ()


def test_a_failed_step_is_typed_and_the_context_goes_on(open_bench):
    """Not poisoned."""
    bench = open_bench(fault_at=1)
    outcome = bench.run(TEN)
    assert isinstance(outcome.error, DecodeError)
    assert not outcome.error.poisoned
    assert bench.run([1]).status is StepStatus.DONE


def test_a_poisoned_context_fails_for_ever_and_a_new_one_works(open_bench):
    """Faults are counted over the model, so that the next decoder starts clean."""
    bench = open_bench(fault_at=1, fault="poisoned")
    assert bench.run(TEN).error.poisoned
    assert bench.run([1]).error.poisoned
    model = bench.backend.kept
    other = model.open_decoder(EngineParams())
    assert other.step(1, [Row(0, 0, TEN, None)]).status is StepStatus.DONE


def test_a_row_fault_ends_that_row_alone(open_bench):
    """Its neighbour gets its token."""
    bench = open_bench(fault_at=1, fault="row", script="ab")
    rows = [Row(number, 0, [1, 2], bench.sampler()) for number in (0, 1)]
    first, second = bench.decoder.step(1, rows).rows
    assert isinstance(first.error, DecodeError)
    assert first.tokens == ()
    assert (second.error, second.tokens) == (None, (ord("a"),))


def test_a_defect_raises_and_leaves_no_wrong_outcome(open_bench):
    """As an exception that no protocol foresees."""
    bench = open_bench(fault_at=1, fault="raise")
    with pytest.raises(RuntimeError, match="told to"):
        bench.run(TEN)
    outcome = bench.decoder.outcome(0)
    assert outcome.status is StepStatus.INTERRUPTED
    assert outcome.rows[0].length == 0


def test_the_outcome_can_be_read_again_until_the_next_step(open_bench):
    """Also after a ``KeyboardInterrupt`` left the call."""
    bench = open_bench(fault_at=2, fault="keyboard_interrupt", script="ab")
    sampler = bench.sampler()
    outcome = bench.run(TEN, sampler)
    assert bench.decoder.outcome(0) == outcome
    with pytest.raises(KeyboardInterrupt):
        bench.run([ord("a"), 1], sampler)
    outcome = bench.decoder.outcome(1)
    assert outcome.status is StepStatus.INTERRUPTED
    assert (outcome.rows[0].length, outcome.rows[0].tokens) == (11, ())
    assert bench.decoder.outcome(0) is None
    assert bench.decoder.outcome(2) is None
