"""Steps: what comes out of rows, alone and together, and what is refused."""

from __future__ import annotations

import pytest

from headrace.errors import ClosedError, DecodeError
from headrace.protocols import Row, StepStatus
from tests.integration.driving import prompt


def test_a_row_without_a_sampler_brings_no_token(open_driver, kind):
    """Prefill says how long the sequence has become, and no more."""
    driver = open_driver(kind)
    outcome = driver.step(driver.row(0, prompt(20)))
    assert outcome.status is StepStatus.DONE
    assert (outcome.rows[0].length, outcome.rows[0].tokens) == (20, ())


def test_the_same_prompt_gives_the_same_tokens(open_driver, kind):
    """In another sequence of the same context, and in another context."""
    driver = open_driver(kind)
    first = driver.generate(0, prompt(20), 12)
    assert driver.generate(3, prompt(20), 12) == first
    assert open_driver(kind).generate(0, prompt(20), 12) == first
    assert driver.generate(1, prompt(20, seed=1), 12) != first


def test_sequences_of_one_step_do_not_see_each_other(open_driver, kind):
    """Together they write what each writes alone."""
    alone = [open_driver(kind).generate(0, prompt(16, seed), 8) for seed in range(3)]
    driver = open_driver(kind)
    samplers = [driver.sampler() for _ in range(3)]
    outcome = driver.step(*(driver.row(i, prompt(16, seed=i), samplers[i]) for i in range(3)))
    together = [list(row.tokens) for row in outcome.rows]
    while len(together[0]) < 8:
        rows = [driver.row(i, together[i][-1:], samplers[i]) for i in range(3)]
        for written, row in zip(together, driver.step(*rows).rows, strict=True):
            written += row.tokens
    assert together == alone


def test_prefill_and_decode_share_a_step(open_driver, kind):
    """A long row beside a short one: each has its own result."""
    driver = open_driver(kind)
    written = driver.generate(0, prompt(10), 3)
    sampler = driver.sampler()
    outcome = driver.step(driver.row(0, written[-1:], sampler), driver.row(1, prompt(50, 1)))
    assert [row.length for row in outcome.rows] == [13, 50]
    assert [len(row.tokens) for row in outcome.rows] == [1, 0]


def test_an_outcome_can_be_read_again(open_driver):
    """Until the next step, under its own id only."""
    driver = open_driver()
    assert driver.decoder.outcome(1) is None
    outcome = driver.step(driver.row(0, prompt(5), driver.sampler()))
    assert driver.decoder.outcome(1) == outcome
    assert driver.decoder.outcome(2) is None
    driver.run(0, [7])
    assert driver.decoder.outcome(1) is None


def test_no_room_changes_nothing(open_driver):
    """Memory is as before, and what fits still goes in."""
    driver = open_driver("attention", n_ctx=256, n_sequences=2)
    driver.run(0, prompt(200))
    outcome = driver.step(driver.row(1, prompt(100)))
    assert outcome.status is StepStatus.NO_ROOM
    assert list(outcome.rows) == []
    fresh = open_driver("attention", n_ctx=256, n_sequences=2)
    fresh.run(0, prompt(200))
    assert driver.run(0, [9], driver.sampler()) == fresh.run(0, [9], fresh.sampler())
    assert driver.run(1, prompt(50), driver.sampler()) is not None


def test_a_batch_is_as_long_as_the_context_allows(open_driver):
    """``n_batch`` may be less than was asked for; that many tokens go through."""
    driver = open_driver("attention", n_ctx=256, n_batch=100_000)
    assert driver.decoder.info.n_batch <= 256
    driver.run(0, prompt(driver.decoder.info.n_batch))


@pytest.mark.parametrize("n_batch", [1, 7])
def test_small_batches_serve_many_sequences(open_driver, n_batch):
    """One token at a time is slow and right."""
    driver = open_driver("attention", n_batch=n_batch, n_sequences=8)
    for token in prompt(10):
        driver.run(5, [token])
    assert driver.lengths[5] == 10


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row(4, 0, [5], None), "a sequence that there is not"),
        (Row(-1, 0, [5], None), "a sequence that there is not"),
        (Row(0, 1, [5], None), "does not begin where its sequence ends"),
        (Row(0, -1, [5], None), "does not begin where its sequence ends"),
        (Row(0, 0, [], None), "no tokens"),
        (Row(0, 0, [-1], None), "not in the vocabulary"),
        (Row(0, 0, [5, 2**31 - 1], None), "not in the vocabulary"),
    ],
)
def test_what_llama_cpp_would_abort_on_is_refused(open_driver, row, message):
    """With an error that leaves the context as it was."""
    driver = open_driver()
    with pytest.raises(DecodeError, match=message) as caught:
        driver.decoder.step(1, [row])
    assert not caught.value.poisoned
    assert driver.decoder.outcome(1) is None
    assert driver.run(0, [5], driver.sampler()) is not None


def test_no_rows_and_equal_rows_are_refused(open_driver):
    """A sequence is in a step once."""
    driver = open_driver()
    with pytest.raises(DecodeError, match="needs a row"):
        driver.decoder.step(1, [])
    with pytest.raises(DecodeError, match="the same sequence"):
        driver.decoder.step(2, [Row(0, 0, [5], None), Row(0, 0, [5], None)])
    with pytest.raises(ValueError, match="n_batch"):
        driver.decoder.step(3, [Row(0, 0, prompt(5000), None)])


def test_a_sequence_that_does_not_exist_cannot_be_changed(open_driver):
    """Memory calls are checked as rows are."""
    driver = open_driver()
    for change in (
        lambda: driver.decoder.clear(4),
        lambda: driver.decoder.truncate(-1, 0),
        lambda: driver.decoder.copy(0, 9, 1),
        lambda: driver.decoder.copy(2, 2, 1),
    ):
        with pytest.raises(DecodeError):
            change()


def test_a_closed_sampler_brings_no_token(open_driver):
    """It is as if there were none."""
    driver = open_driver()
    sampler = driver.sampler()
    sampler.close()
    sampler.close()
    assert driver.run(0, [5], sampler) is None


def test_a_closed_decoder_says_so(open_driver):
    """Closing again does nothing."""
    driver = open_driver()
    driver.decoder.close()
    driver.decoder.close()
    with pytest.raises(ClosedError):
        driver.decoder.step(1, [Row(0, 0, [5], None)])
    with pytest.raises(ClosedError):
        driver.decoder.clear(0)
    driver.decoder.interrupt(1)


def test_closing_the_model_closes_its_contexts(open_driver):
    """In the order that llama.cpp needs."""
    driver = open_driver()
    driver.model.close()
    with pytest.raises(ClosedError):
        driver.run(0, [5])
