"""Ending a step early, at every moment, on every kind of memory."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from headrace.errors import BusyError, ClosedError
from headrace.protocols import StepStatus
from headrace_llamacpp._native import lib
from tests.integration.driving import Driver, prompt

_NEVER = -1
_PROMPT = prompt(150)
_BEFORE = prompt(30, seed=3)
# Micro-batches of 50, so that a step of 150 tokens can end between them.
_ENGINE = {"n_ubatch": 50, "n_batch": 512}


def _interrupted_after(driver: Driver, nodes: int, *rows) -> object:
    lib.hr_test_interrupt_after(driver.decoder._context, nodes)
    outcome = driver.step(*rows)
    lib.hr_test_interrupt_after(driver.decoder._context, _NEVER)
    return outcome


def _sweep():
    """Node numbers: densely at first, then through all micro-batches."""
    return [0, 1, 2, 3, 5, 8, 20, 50, 70, 71, 72, 75, 80, 100, 130, 150, 200, 280, 400, 1000]


@pytest.mark.parametrize("nodes", _sweep())
def test_a_prefill_can_end_at_any_node(open_driver, kind, nodes):
    """What memory is said to hold is what it holds: the rest of the prompt brings it right."""
    driver = open_driver(kind, **_ENGINE)
    driver.run(0, _BEFORE)
    outcome = _interrupted_after(driver, nodes, driver.row(0, _PROMPT))
    length = driver.lengths[0]
    whole = [*_BEFORE, *_PROMPT]
    if outcome.status is StepStatus.DONE:
        assert length == len(whole)
    else:
        assert outcome.status is StepStatus.INTERRUPTED
        assert length in ((0,) if kind == "recurrent" else (30, 80, 130))
    fresh = open_driver(kind, **_ENGINE)
    if length >= 30:
        fresh.run(0, _BEFORE)
        if length > 30:
            fresh.run(0, whole[30:length])
    rest = whole[length:] or [9]
    assert driver.generate(0, rest, 6) == fresh.generate(0, rest, 6)


@pytest.mark.parametrize("nodes", [0, 3, 20])
def test_an_interrupted_step_says_the_truth_of_every_row(open_driver, kind, nodes):
    """Several sequences in one step; those that were not in it are not touched."""
    driver = open_driver(kind)
    driver.run(0, prompt(10))
    driver.run(1, prompt(20, seed=1))
    driver.run(2, prompt(15, seed=2))
    outcome = _interrupted_after(
        driver, nodes, driver.row(0, [5], driver.sampler()), driver.row(1, prompt(60, seed=4))
    )
    assert outcome.status is StepStatus.INTERRUPTED
    assert [row.tokens for row in outcome.rows] == [(), ()]
    expected = [0, 0] if kind == "recurrent" else [10, 20]
    assert [row.length for row in outcome.rows] == expected
    fresh = open_driver(kind)
    fresh.run(2, prompt(15, seed=2))
    assert driver.generate(2, [9], 6) == fresh.generate(2, [9], 6)
    for sequence, known in ((0, prompt(10)), (1, prompt(20, seed=1))):
        if driver.lengths[sequence]:
            fresh.run(sequence, known)
        assert driver.generate(sequence, [9], 6) == fresh.generate(sequence, [9], 6)


def test_an_interrupt_given_before_the_step_ends_it_at_once(open_driver, kind):
    """Nothing is computed, memory is as before."""
    driver = open_driver(kind)
    driver.run(0, prompt(10))
    driver.decoder.interrupt(2)
    outcome = driver.step(driver.row(0, prompt(20)))
    assert outcome.status is StepStatus.INTERRUPTED
    assert outcome.rows[0].length == 10
    assert driver.run(0, prompt(20)) is None


def test_a_stale_interrupt_does_nothing(open_driver):
    """The step it was for is over."""
    driver = open_driver()
    driver.run(0, prompt(10))
    driver.decoder.interrupt(1)
    driver.decoder.interrupt(0)
    assert driver.run(0, prompt(10), driver.sampler()) is not None


def test_an_early_interrupt_waits_for_its_own_step(open_driver):
    """Steps before it run, one for an earlier step does not undo it."""
    driver = open_driver()
    driver.decoder.interrupt(3)
    driver.decoder.interrupt(1)
    assert driver.step(driver.row(0, [5])).status is StepStatus.INTERRUPTED
    assert driver.step(driver.row(0, [5])).status is StepStatus.DONE
    assert driver.step(driver.row(0, [5])).status is StepStatus.INTERRUPTED
    assert driver.step(driver.row(0, [5])).status is StepStatus.DONE


@pytest.mark.parametrize("ahead", [1, 63, 64, 65, 128, 2**40])
def test_an_interrupt_for_a_far_step_leaves_this_one_alone(open_driver, ahead):
    """However the ids are kept."""
    driver = open_driver()
    driver.decoder.interrupt(1 + ahead)
    assert driver.step(driver.row(0, [5])).status is StepStatus.DONE


def test_a_time_limit_ends_the_step(open_driver, kind):
    """None at all ends it at once, an ample one never."""
    driver = open_driver(kind)
    assert driver.step(driver.row(0, [5]), time_limit=0).status is StepStatus.INTERRUPTED
    assert driver.step(driver.row(0, [5]), time_limit=1e9).status is StepStatus.DONE
    assert driver.step(driver.row(0, [5]), time_limit=600).status is StepStatus.DONE


def _long_prefill(open_driver) -> tuple[Driver, list[int]]:
    """A step that takes long enough to be met in the middle."""
    driver = open_driver("window", n_ctx=8192, n_batch=8000, n_sequences=1)
    return driver, prompt(8000)


def test_another_thread_ends_a_running_step(open_driver):
    """The flag is seen after the graph node that is being computed."""
    driver, tokens = _long_prefill(open_driver)
    begun = threading.Event()
    outcomes = []

    def work():
        begun.set()
        outcomes.append(driver.step(driver.row(0, tokens)))

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    driver.decoder.interrupt(1)
    thread.join()
    assert outcomes[0].status is StepStatus.INTERRUPTED
    assert 0 <= outcomes[0].rows[0].length < 8000


def test_a_time_limit_bites_in_the_middle_of_a_step(open_driver):
    """Some of the prompt is done, the rest is not."""
    driver, tokens = _long_prefill(open_driver)
    started = time.monotonic()
    outcome = driver.step(driver.row(0, tokens), time_limit=0.02)
    assert outcome.status is StepStatus.INTERRUPTED
    assert time.monotonic() - started >= 0.02
    assert 0 <= outcome.rows[0].length < 8000


def test_a_signal_ends_a_step_on_the_main_thread(open_driver):
    """Its handler's exception comes out of ``step``, the outcome is there all the same."""
    driver, tokens = _long_prefill(open_driver)

    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(Alarm):
            driver.step(driver.row(0, tokens))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    outcome = driver.decoder.outcome(1)
    assert outcome.status is StepStatus.INTERRUPTED
    driver.lengths[0] = outcome.rows[0].length
    assert driver.lengths[0] < 8000
    assert driver.run(0, tokens[driver.lengths[0] :][:10], driver.sampler()) is not None


def test_a_signal_handler_that_returns_lets_the_step_go_on(open_driver):
    """Being looked at does not end it."""
    driver, tokens = _long_prefill(open_driver)
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        outcome = driver.step(driver.row(0, tokens[:4000]))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert outcome.status is StepStatus.DONE
    assert rung == [1]


def test_closing_ends_a_running_step(open_driver):
    """Called in the middle of a step, ``close`` ends it; the step's end frees the context."""
    driver, tokens = _long_prefill(open_driver)
    before = signal.signal(signal.SIGALRM, lambda *_: driver.decoder.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        outcome = driver.step(driver.row(0, tokens))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert outcome.status is StepStatus.INTERRUPTED
    with pytest.raises(ClosedError):
        driver.run(0, [5])


def test_a_context_is_for_one_thread_at_a_time(open_driver):
    """A call that comes while a step runs is refused, the step goes on."""
    driver, tokens = _long_prefill(open_driver)
    refused = []

    def meddle(*_):
        with pytest.raises(BusyError) as caught:
            driver.decoder.clear(0)
        refused.append(caught.value)

    before = signal.signal(signal.SIGALRM, meddle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        outcome = driver.step(driver.row(0, tokens))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert outcome.status is StepStatus.DONE
    assert len(refused) == 1
