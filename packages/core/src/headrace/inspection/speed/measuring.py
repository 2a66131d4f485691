"""A model's speed on this machine, measured step by step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

from headrace.inspection import environment
from headrace.inspection.speed.others import computing
from headrace.inspection.speed.plan import SHORT_PROMPT, SpeedPlan, doubling
from headrace.inspection.speed.streams import Stopwatch
from headrace.model import Model
from headrace.params import EngineParams
from headrace.results.speed import Rate, Speed, StreamsSpeed, ThreadsSpeed

Load = Callable[[EngineParams], Model]
"""Loads the model with these settings."""


_PROMPT, _SHORT = "prompt", "short prompt"
_Key = TypeVar("_Key")
_Job = Callable[[], float]


def measure_speed(
    load: Load,
    plan: SpeedPlan | None = None,
    engine: EngineParams | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Speed:
    """Measure how fast a model prefills and decodes here.

    The model is loaded with the backend's own number of threads, and measured on the machine as
    it is and beside others that compute. Unless ``engine`` has a number of threads, it is loaded
    again with each of 1, 2, 4 … up to the processors there are.

    Args:
        load: Loads the model; it is closed afterwards.
        plan: What is measured, and how long.
        engine: How it runs; where ``n_ctx`` is None it gets the room that is needed.
        progress: Called with the part that is done, from 0 to 1.

    Raises:
        UnsupportedError: If the model cannot generate from token ids.
        ContextFullError: If ``n_ctx`` is too small for what is measured.
        HeadraceError: If it cannot be loaded, or fails while it is measured.
    """
    plan = plan or SpeedPlan()
    engine = plan.engine(engine or EngineParams())
    numbers = () if engine.n_threads is not None else plan.numbers_of_threads()
    rounds = _Rounds(plan, progress, n_fixed=len(numbers))
    found = _as_it_is(load, engine, plan, rounds)
    fixed = [_with_threads(load, engine, number, found, rounds) for number in numbers]
    if not fixed:
        return found
    own = ThreadsSpeed(n_threads=None, decode=found.decode[0].rate, prefill=found.prefill)
    return attrs.evolve(found, threads=(own, *fixed))


def _as_it_is(load: Load, engine: EngineParams, plan: SpeedPlan, rounds: _Rounds) -> Speed:
    """Everything but the numbers of threads."""
    began = time.perf_counter()
    with load(engine) as model:
        load_seconds = time.perf_counter() - began
        watch = _warm(model)
        length = _prompt_length(plan, model)
        streams = {number: _decoding(watch, number, plan) for number in _streams(plan)}
        prompts = {
            _SHORT: lambda: watch.first_token(SHORT_PROMPT),
            _PROMPT: lambda: length / watch.first_token(length),
        }
        quiet = rounds.taken({**prompts, **streams})
        with computing(plan.n_others()):
            busy = rounds.taken({number: streams[number] for number in _busy_streams(plan)})
        return Speed(
            model=model.info.name,
            backend=model.info.backend,
            cpu=environment.cpu()[0],
            cpus=environment.cpus(),
            load_seconds=load_seconds,
            first_token_seconds=statistics.median(quiet[_SHORT]),
            prompt_tokens=length,
            new_tokens=plan.new_tokens,
            prefill=Rate.of(quiet[_PROMPT]),
            decode=tuple(_of_streams(number, quiet[number]) for number in streams),
            others=plan.n_others(),
            busy=tuple(_of_streams(number, samples) for number, samples in busy.items()),
            threads=(),
        )


def _with_threads(
    load: Load, engine: EngineParams, number: int, found: Speed, rounds: _Rounds
) -> ThreadsSpeed:
    """One stream and a prompt with a fixed number of threads."""
    with load(attrs.evolve(engine, n_threads=number)) as model:
        watch = _warm(model)
        length = found.prompt_tokens
        taken = rounds.taken(
            {
                _PROMPT: lambda: length / watch.first_token(length),
                1: lambda: watch.decode(1, found.new_tokens),
            }
        )
    return ThreadsSpeed(n_threads=number, decode=Rate.of(taken[1]), prefill=Rate.of(taken[_PROMPT]))


class _Rounds:
    """Takes measurements by turns, and tells how much of all is done."""

    def __init__(self, plan: SpeedPlan, progress: Callable[[float], None], *, n_fixed: int) -> None:
        self._rounds = plan.rounds
        jobs = 2 + len(_streams(plan)) + len(_busy_streams(plan)) + 2 * n_fixed
        self._steps, self._done = jobs * plan.rounds, 0
        self._progress = progress

    def taken(self, jobs: Mapping[_Key, _Job]) -> dict[_Key, list[float]]:
        """The samples of each job."""
        found: dict[_Key, list[float]] = {key: [] for key in jobs}
        for _ in range(self._rounds):
            for key, job in jobs.items():
                found[key].append(job())
                self._done += 1
                self._progress(self._done / self._steps)
        return found


def _warm(model: Model) -> Stopwatch:
    """A watch for a model that has done what it does once."""
    watch = Stopwatch(model)
    watch.decode(1, 1)
    return watch


def _prompt_length(plan: SpeedPlan, model: Model) -> int:
    """Tokens of the prompt: what is planned, as far as the model was trained for it."""
    trained = model.info.n_ctx_train or plan.prompt_tokens + 1
    return max(1, min(plan.prompt_tokens, trained - 1))


def _decoding(watch: Stopwatch, streams: int, plan: SpeedPlan) -> _Job:
    return lambda: watch.decode(streams, plan.new_tokens)


def _streams(plan: SpeedPlan) -> tuple[int, ...]:
    return doubling(plan.streams)


def _busy_streams(plan: SpeedPlan) -> tuple[int, ...]:
    """One, and the most."""
    return tuple(dict.fromkeys((1, plan.streams))) if plan.n_others() else ()


def _of_streams(number: int, samples: list[float]) -> StreamsSpeed:
    return StreamsSpeed(streams=number, rate=Rate.of(samples))
