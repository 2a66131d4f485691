"""How many threads a context computes with, where nobody says."""

from __future__ import annotations

import math
import random

import pytest

from headrace.params import EngineParams
from headrace_llamacpp import context, threads
from headrace_llamacpp._native import ffi, lib
from tests.integration.driving import prompt


class Machine:
    """One that computes steps in no time, and tells how long they took.

    Args:
        most: Threads that there may be.
        seconds: What a step takes with so many threads.
        ran: Of it, how long the calling thread ran; None: all of it.
        scatter: How far times are from these, up or down; drawn from a fixed seed.
    """

    def __init__(self, most, seconds, ran=None, scatter=0.0):
        self._choice = ffi.gc(lib.hr_test_choice_new(most), lib.hr_test_choice_delete)
        self._random = random.Random(1)
        self.now = 0.0
        self.become(seconds, ran, scatter)

    def become(self, seconds, ran=None, scatter=0.0):
        """Others begin to compute, or end."""
        self._seconds, self._ran, self._scatter = seconds, ran, scatter

    def step(self, n_tokens=1):
        """The threads chosen for one step, and what it took."""
        chosen = lib.hr_test_choose(self._choice, n_tokens, self.now)
        took = self._seconds(chosen) * (1 + self._random.uniform(-1, 1) * self._scatter)
        ran = took if self._ran is None else min(took, self._ran(chosen))
        self.now += took
        lib.hr_test_learn(self._choice, n_tokens, took, ran, self.now)
        return chosen, took

    def run(self, seconds, n_tokens=1):
        """Each step of so many seconds."""
        until = self.now + seconds
        steps = []
        while self.now < until:
            steps.append(self.step(n_tokens))
        return steps

    def worth(self, seconds, best, n_tokens=1):
        """How near the steps of so many seconds come to what ``best`` threads would do."""
        steps = self.run(seconds, n_tokens)
        return len(steps) * self._seconds(best) / sum(took for _, took in steps)


def alone(threads):
    """A quiet machine of two processors: half the time and something."""
    return {1: 0.021, 2: 0.015}[threads]


def beside_one(threads):
    """One other program: a thread alone has a processor, of two one has none at times."""
    return {1: 0.021, 2: 0.030}[threads]


def ran(threads):
    """Of steps on these machines."""
    return {1: 0.021, 2: 0.013}[threads]


def test_with_one_thread_there_is_nothing_to_find_out():
    """Whatever it takes."""
    machine = Machine(1, lambda threads: 0.02, scatter=0.9)
    assert {chosen for chosen, _ in machine.run(2)} == {1}


def test_all_threads_are_where_it_begins():
    """The first steps, and nearly all later ones on a quiet machine, have all that there are."""
    machine = Machine(2, alone)
    assert [machine.step()[0] for _ in range(3)] == [2, 2, 2]
    assert machine.worth(10, best=2) > 0.98


@pytest.mark.parametrize("scatter", [0.0, 0.5])
def test_fewer_threads_are_found_where_they_pay(scatter):
    """After a second it computes nearly as fast as the best number, scattered times or not."""
    machine = Machine(2, beside_one, ran, scatter)
    machine.run(1)
    assert machine.worth(10, best=1) > 0.95


def test_it_follows_others_that_come_and_go():
    """Within a second each time, though a thread alone cannot see that the other one left."""
    machine = Machine(2, alone, ran)
    machine.run(5)
    for seconds, best in [(beside_one, 1), (alone, 2), (beside_one, 1), (alone, 2)]:
        machine.become(seconds, ran)
        machine.run(1)
        assert machine.worth(4, best=best) > 0.93


def test_more_others_are_not_taken_for_a_bad_number():
    """All numbers suffer: what was measured beside fewer others is no reason to change."""

    def beside(load):
        return lambda threads: load * {1: 0.5, 2: 0.4}[threads]

    machine = Machine(2, beside(1), lambda threads: 0.1)
    machine.run(8, n_tokens=8)
    machine.become(beside(1.5), lambda threads: 0.1)
    assert {chosen for chosen, _ in machine.run(3, n_tokens=8)} == {2}


def test_a_long_step_is_tried_with_fewer_threads_once_others_have_come():
    """At once, though nothing was earned yet; and not each time that they come."""

    def long(threads):
        return {1: 0.2, 2: 0.25}[threads]

    machine = Machine(2, long, long)
    machine.step(8)
    machine.become(long, lambda threads: long(threads) / 2)
    assert 1 in [machine.step(8)[0] for _ in range(4)]
    assert machine.worth(5, best=1, n_tokens=8) > 0.93
    worse = Machine(2, lambda threads: 0.6 / threads, lambda threads: 0.6 / threads)
    chosen = []
    for _ in range(3):
        for ran in (0.3, 0.1, 0.3):
            worse.become(lambda threads: 0.6 / threads, lambda threads, ran=ran: ran)
            chosen += [worse.step(8)[0] for _ in range(2)]
    assert chosen.count(1) == 1


def test_what_a_trial_delays_after_it_counts_as_its_cost():
    """The system finds places for threads again, a few steps long: trials are rarer for it."""

    class Disturbed(Machine):
        left = 0

        def step(self, n_tokens=1):
            chosen, took = super().step(n_tokens)
            self.left = 8 if chosen == 1 else max(0, self.left - 1)
            self.become(
                lambda threads: {1: 0.04, 2: 0.045 if self.left else 0.033}[threads],
                lambda threads: 0.015,
            )
            return chosen, took

    machine = Disturbed(2, lambda threads: 0.033, lambda threads: 0.015)
    machine.run(1)
    steps = machine.run(20)
    assert 20 / len(steps) < 0.033 * 1.05


def test_numbers_that_are_equal_are_left_alone():
    """A few hundredths are not worth a change."""
    machine = Machine(2, lambda threads: {1: 0.02, 2: 0.0202}[threads])
    machine.run(1)
    chosen = [threads for threads, _ in machine.run(3)]
    assert chosen.count(2) > len(chosen) / 2


@pytest.mark.parametrize(("most", "best"), [(16, 16), (16, 15), (16, 8), (16, 2), (64, 1), (3, 2)])
def test_of_many_threads_few_numbers_are_tried(most, best):
    """It walks to the best one over halves, and stays."""
    tried = set()

    def seconds(threads):
        tried.add(threads)
        return 0.01 * (1 + 0.3 * abs(math.log2(threads / best)))

    machine = Machine(most, seconds, lambda threads: 0.007)
    machine.run(3)
    assert machine.worth(5, best=best) > 0.93
    assert len(tried) <= 9
    assert max(tried) == most


def test_a_prefill_is_not_judged_by_decoding():
    """Long steps have a number of their own, here all, while short ones have one thread."""

    def seconds(threads):
        return beside_one(threads) if width == 1 else {1: 4.0, 2: 2.5}[threads]

    machine = Machine(2, seconds, lambda threads: 0.8 * seconds(threads))
    for _ in range(12):
        width = 1
        machine.run(1)
        width = 512
        machine.step(512)
    width = 1
    assert machine.worth(2, best=1) > 0.93
    width = 512
    assert machine.worth(100, best=2, n_tokens=512) > 0.93


def test_a_long_step_is_no_trial_unless_it_was_earned():
    """The second prompt of a quiet machine does not take twice as long as the first."""
    machine = Machine(2, lambda threads: 1.0 / threads)
    assert [machine.step(512)[0] for _ in range(10)] == [2] * 10


@pytest.mark.parametrize("ran", [0.0, -1.0])
def test_a_clock_that_tells_nothing_does_no_harm(ran):
    """Windows has none that is fine enough."""
    machine = Machine(2, alone, lambda threads: ran)
    machine.run(2)
    assert machine.worth(5, best=2) > 0.93


@pytest.fixture
def two_cores(monkeypatch):
    """A machine of two cores, whatever this one has."""
    for module in (context, threads):
        monkeypatch.setattr(module, "default_threads", lambda: 2)


def test_a_number_that_is_given_stays(open_driver, two_cores):
    """Steps have it from the first to the last."""
    driver = open_driver(n_threads=2)
    for _ in range(300):
        driver.run(0, prompt(1))
        assert lib.hr_test_n_threads(driver.decoder._context) == 2
    assert driver.decoder.info.n_threads == 2
    assert not driver.decoder.info.threads_vary


def test_one_that_is_not_given_is_found_out(open_driver, two_cores):
    """Of the tiny model one thread is faster, or both are: both are tried."""
    driver = open_driver(n_threads=None, n_ctx=2048)
    seen = set()
    for _ in range(1500):
        driver.run(0, prompt(1))
        seen.add(lib.hr_test_n_threads(driver.decoder._context))
    assert seen == {1, 2}
    assert driver.decoder.info.n_threads == 2
    assert driver.decoder.info.threads_vary


def test_changing_numbers_compute_the_same(open_driver, two_cores):
    """In short memories, where flash attention is not divided among threads."""
    expected = open_driver(n_threads=1).generate(0, prompt(40), 200)
    assert open_driver(n_threads=None).generate(0, prompt(40), 200) == expected


def test_a_reproducible_session_has_a_number_that_stays(load, two_cores):
    """Its place is apart even where there is one sequence, unless the number is given."""
    model = load("attention")
    for n_threads, apart in [(None, 1), (2, 0)]:
        decoder = model.open_decoder(EngineParams(n_ctx=512, n_sequences=1, n_threads=n_threads))
        assert decoder.info.n_apart == apart
        assert decoder.info.reproduces
        decoder.close()
