"""Delays end at once when asked to; concurrent use is noticed."""

from __future__ import annotations

import threading

import pytest

from headrace.protocols import Row, StepStatus
from headrace_fake import MisuseError
from headrace_fake.alarm import Alarm

AN_HOUR = 3600.0
PROMPT = list(b"a prompt of some length")


def test_an_interrupt_ends_a_decode_at_once(open_bench):
    """Nothing was finished, nothing sampled."""
    bench = open_bench(delay=AN_HOUR, on_step=lambda step_id, rows: rung(step_id))
    rung = bench.decoder.interrupt
    outcome = bench.run([1], bench.sampler())
    assert outcome.status is StepStatus.INTERRUPTED
    assert (outcome.rows[0].length, outcome.rows[0].tokens) == (0, ())


def test_an_interrupt_from_another_thread_ends_a_prefill_at_once(open_bench):
    """While the step is waiting."""
    running = threading.Event()
    bench = open_bench(prefill_delay=AN_HOUR, on_step=lambda step_id, rows: running.set())

    def interrupt():
        assert running.wait(10)
        bench.decoder.interrupt(0)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    outcome = bench.run(PROMPT)
    thread.join()
    assert outcome.status is StepStatus.INTERRUPTED


def test_an_interrupt_before_the_step_ends_it_when_it_starts(open_bench):
    """Even a step without delay."""
    bench = open_bench(script="a")
    bench.decoder.interrupt(0)
    assert bench.run(PROMPT, bench.sampler()).status is StepStatus.INTERRUPTED
    assert bench.run(PROMPT, bench.sampler()).status is StepStatus.DONE


def test_a_stale_interrupt_does_nothing(open_bench):
    """Neither to the next step nor to its wait."""
    bench = open_bench(delay=0.001)
    bench.run([1])
    bench.decoder.interrupt(0)
    assert bench.run([2]).status is StepStatus.DONE


def test_the_time_limit_ends_a_step(open_bench):
    """What was finished in the time stays."""
    bench = open_bench(delay=AN_HOUR)
    assert bench.run([1], time_limit=0.001).status is StepStatus.INTERRUPTED
    assert bench.run([1], time_limit=0.0).status is StepStatus.INTERRUPTED


def test_a_time_limit_that_is_long_enough_changes_nothing(open_bench):
    """The step is done when its work is."""
    bench = open_bench(delay=0.001)
    assert bench.run([1], time_limit=AN_HOUR).status is StepStatus.DONE


def test_an_interrupted_prefill_keeps_whole_tokens_of_its_rows(open_bench):
    """Row by row: the second has nothing before the first is through."""
    bench = open_bench(prefill_delay=0.001)
    rows = [Row(0, 0, PROMPT, None), Row(1, 0, PROMPT, None)]
    first, second = bench.decoder.step(0, rows, time_limit=0.01).rows
    assert first.length < len(PROMPT) or second.length < len(PROMPT)
    assert second.length == 0 or first.length == len(PROMPT)
    assert bench.decoder.memory(0) == PROMPT[: first.length]


def test_a_decoder_that_is_not_interruptible_finishes_its_step(open_bench):
    """It only heeds an interrupt that came before."""
    bench = open_bench(
        delay=0.001, interruptible=False, on_step=lambda step_id, rows: seen.append(step_id)
    )
    seen = []
    assert bench.run([1]).status is StepStatus.DONE
    bench.decoder.interrupt(1)
    assert bench.run([1]).status is StepStatus.INTERRUPTED
    assert seen == [0, 1]


def test_use_from_another_thread_during_a_step_is_noticed(open_bench):
    """The engine must have one driver at a time."""
    running = threading.Event()
    bench = open_bench(delay=AN_HOUR, on_step=lambda step_id, rows: running.set())
    thread = threading.Thread(target=bench.run, args=([1],), daemon=True)
    thread.start()
    assert running.wait(10)
    with pytest.raises(MisuseError, match="another thread's call"):
        bench.decoder.clear(0)
    with pytest.raises(MisuseError, match="closed while a call was running"):
        bench.decoder.close()
    bench.decoder.interrupt(0)
    thread.join()
    bench.decoder.clear(0)
    assert len(bench.backend.violations) == 2


def test_use_from_inside_a_step_is_noticed(open_bench):
    """A finalizer or signal handler may ask for an interrupt, and for nothing else."""
    bench = open_bench(on_step=lambda step_id, rows: bench.decoder.truncate(0, 0))
    with pytest.raises(MisuseError, match="the same thread's call"):
        bench.run([1])
    assert bench.decoder.used == 0


def test_an_alarm_for_a_later_step_is_kept():
    """An interrupt may come between two steps."""
    alarm = Alarm()
    alarm.ring(5)
    alarm.ring(3)
    assert not alarm.rung(4)
    assert alarm.rung(5)
    assert not alarm.rung(5)
