"""A model's speed: what is measured, how often, and what the figures come to."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

import headrace
from headrace import ClosedError, EngineParams, ParamsError, UnsupportedError
from headrace.inspection.speed import others
from headrace.inspection.speed.measuring import measure_speed
from headrace.inspection.speed.plan import SpeedPlan, doubling
from headrace.inspection.speed.streams import Stopwatch
from headrace.results.speed import Rate, Speed, ThreadsSpeed

SMALL = SpeedPlan(rounds=2, prompt_tokens=8, new_tokens=4, streams=3, others=0)


def load(engine):
    """The fake."""
    return headrace.load_model("fake:", engine=engine)


@pytest.fixture
def two_processors(monkeypatch):
    """A machine with two."""
    monkeypatch.setattr("headrace.inspection.environment.cpus", lambda: 2)


@pytest.mark.parametrize(("most", "numbers"), [(1, (1,)), (3, (1, 2, 3)), (8, (1, 2, 4, 8))])
def test_numbers_double_up_to_the_most(most, numbers):
    """Which is always there, once."""
    assert doubling(most) == numbers


def test_a_rate_is_the_middle_one_between_the_lowest_and_the_highest():
    """In any order."""
    assert Rate.of([3.0, 1.0, 8.0]) == Rate(median=3.0, low=1.0, high=8.0, rounds=3)


def test_everything_is_measured_in_each_round():
    """For one stream, two, and the most."""
    found = measure_speed(load, SMALL, EngineParams(n_threads=1))

    assert [each.streams for each in found.decode] == [1, 2, 3]
    assert {each.rate.rounds for each in found.decode} == {found.prefill.rounds} == {2}
    assert all(0 < each.rate.low <= each.rate.median for each in found.decode)
    assert (found.backend, found.prompt_tokens, found.new_tokens) == ("fake", 8, 4)
    assert (found.busy, found.others, found.threads) == ((), 0, ())


@pytest.fixture
def started(monkeypatch):
    """The processes that are started."""
    found = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more)
            found.append(self)

    monkeypatch.setattr(others.subprocess, "Popen", Noted)
    return found


def test_others_compute_beside_one_stream_and_the_most(started):
    """And have ended afterwards."""
    plan = SpeedPlan(rounds=1, prompt_tokens=8, new_tokens=2, streams=2, others=3)

    found = measure_speed(load, plan, EngineParams(n_threads=1))

    assert ([each.streams for each in found.busy], found.others) == ([1, 2], 3)
    assert len(started) == 3
    assert all(each.returncode is not None for each in started)


def test_others_end_when_what_is_measured_fails(started):
    """Nobody is left computing."""

    def fail():
        assert [each.poll() for each in started] == [None, None]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), others.computing(2):
        fail()

    assert all(each.returncode is not None for each in started)


def test_there_are_no_others_without_an_interpreter(monkeypatch):
    """A program that embeds Python has none."""
    monkeypatch.setattr(sys, "executable", "")

    with pytest.raises(UnsupportedError, match="no Python interpreter"), others.computing(1):
        pass
    with others.computing(0):
        pass


@pytest.mark.usefixtures("two_processors")
def test_numbers_of_threads_are_tried_unless_one_was_given():
    """The backend's own choice first; every model is closed again."""
    engines, models = [], []

    def noting(engine):
        engines.append(engine)
        models.append(load(engine))
        return models[-1]

    found = measure_speed(noting, SMALL)

    assert [each.n_threads for each in found.threads] == [None, 1, 2]
    assert [engine.n_threads for engine in engines] == [None, 1, 2]
    for model in models:
        with pytest.raises(ClosedError):
            model.open_session()


def threads(number, rate):
    """What was measured with a number of threads."""
    return ThreadsSpeed(n_threads=number, decode=Rate.of([rate]), prefill=Rate.of([1.0]))


def test_the_best_number_of_threads_decodes_fastest():
    """None where only one was tried."""
    found = measure_speed(load, SMALL, EngineParams(n_threads=1))
    assert found.best_threads is None

    values = {name: getattr(found, name) for name in Speed.__annotations__}
    several = Speed(**{**values, "threads": (threads(None, 5.0), threads(2, 7.0))})
    assert several.best_threads == several.threads[1]


@pytest.mark.usefixtures("two_processors")
def test_progress_goes_up_to_the_end():
    """Once for each measurement."""
    told = []
    measure_speed(load, SMALL, progress=told.append)

    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    assert len(told) == SMALL.rounds * (2 + 3 + 2 * 2)


def test_the_context_has_room_for_all_streams_or_the_prompt():
    """Unless the caller says how much there is."""
    streams = SpeedPlan(streams=4, new_tokens=100).engine(EngineParams())
    prompt = SpeedPlan(streams=1, new_tokens=1, prompt_tokens=5000).engine(EngineParams())

    assert (streams.n_sequences, streams.n_ctx >= 400) == (4, True)
    assert prompt.n_ctx > 5000
    assert SpeedPlan().engine(EngineParams(n_ctx=100)).n_ctx == 100


def test_a_prompt_is_no_longer_than_the_model_was_trained_for():
    """The figures say how long it was."""
    plan = SpeedPlan(rounds=1, prompt_tokens=500, new_tokens=2, streams=1, others=0)

    def trained_for_few(engine):
        return headrace.load_model("fake:#n_ctx=100", engine=engine)

    found = measure_speed(trained_for_few, plan, EngineParams(n_threads=1))

    assert found.prompt_tokens == 99


def test_each_prompt_begins_differently():
    """Otherwise the memory of the one before would be taken."""
    with load(EngineParams()) as model:
        watch = Stopwatch(model)
        prompts = [watch._prompt(12) for _ in range(11)]

    assert {len(each) for each in prompts} == {12}
    assert len({tuple(each) for each in prompts}) == 11


@pytest.mark.parametrize(
    ("field", "value"), [("rounds", 0), ("streams", 257), ("new_tokens", 0), ("others", -1)]
)
def test_a_plan_says_what_it_cannot_be(field, value):
    """Field and value."""
    with pytest.raises(ParamsError, match=rf"SpeedPlan\.{field} must be .*, got {value}"):
        SpeedPlan(**{field: value})


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux tells when a process ends")
def test_those_that_compute_end_with_a_program_that_is_killed():
    """Which has no time to end them."""
    program = (
        "import os, signal, subprocess\n"
        "from headrace.inspection.speed import others\n"
        "Popen = subprocess.Popen\n"
        "def telling(*arguments, **more):\n"
        "    started = Popen(*arguments, **more)\n"
        "    print(started.pid, flush=True)\n"
        "    return started\n"
        "subprocess.Popen = telling\n"
        "with others.computing(2):\n"
        "    input()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        computing = [os.pidfd_open(int(killed.stdout.readline())) for _ in range(2)]
        assert select.select(computing, [], [], 0)[0] == []
        killed.communicate("\n")
    assert killed.returncode == -signal.SIGKILL
    for each in computing:
        assert select.select([each], [], [], 20)[0] == [each]
        os.close(each)
