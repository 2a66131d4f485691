"""Random work on real models for as long as asked: no growth, no error, no thread left.

``HEADRACE_SOAK_SECONDS`` says how long (30 by default, 600 in its own environment).
"""

from __future__ import annotations

import gc
import os
import random
import threading
import time

import pytest

import headrace
from headrace import EngineParams, SamplingParams, SessionParams

if os.environ.get("HEADRACE_TEST_LLAMACPP") != "1":
    pytest.skip("the llama.cpp backend was not asked for", allow_module_level=True)

from tests.support import tiny_gguf

SECONDS = float(os.environ.get("HEADRACE_SOAK_SECONDS", "30"))
N_WORKERS = 6


def resident_mib() -> float:
    """Memory of this process."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise AssertionError("this system does not tell")


def work(model, seed: int, until: float, errors: list[BaseException]) -> None:
    """Talk, cancel, rewind, fork, reset and close, at random."""
    draw = random.Random(seed)
    try:
        while time.monotonic() < until:
            params = SessionParams(reproducible=draw.random() < 0.3)
            with model.open_session(params) as session:
                for _ in range(draw.randrange(1, 6)):
                    talk(session, draw)
    except BaseException as error:
        errors.append(error)


def talk(session, draw: random.Random) -> None:
    """One generation and one change of the history."""
    sampling = SamplingParams(temperature=draw.choice([0.0, 1.0]), seed=draw.randrange(1000))
    prompt = "lorem ipsum dolor sit amet " * draw.randrange(1, 5)
    before = session.tokens
    if len(before) > 300:
        session.reset()
        before = []
    stream = session.generate(
        prompt, sampling=sampling, max_tokens=draw.randrange(40), ignore_eog=True, stop="zzz"
    )
    wanted = draw.randrange(60)
    for number, _ in enumerate(stream):
        if number == wanted:
            stream.cancel()
    done = stream.result
    tokens = session.tokens
    assert tokens[: len(before)] == before
    assert tuple(tokens[len(tokens) - len(done.tokens) :]) == done.tokens
    choice = draw.random()
    if choice < 0.2:
        session.rewind(to=draw.randrange(len(tokens) + 1))
    elif choice < 0.3:
        with session.fork() as forked:
            forked.complete("x", sampling=sampling, max_tokens=5, ignore_eog=True)


@pytest.mark.parametrize("kind", ["attention", "window", "recurrent"])
def test_random_work_leaves_nothing_behind(kind):
    """Memory at the end is what it was after the first tenth."""
    threads_before = threading.active_count()
    errors: list[BaseException] = []
    end = time.monotonic() + SECONDS
    engine = EngineParams(n_ctx=2048, n_sequences=4, n_threads=1)
    with headrace.load_model(tiny_gguf.path(kind), backend="llamacpp", engine=engine) as model:
        sizes = []
        for part in range(10):
            until = end - SECONDS * (9 - part) / 10
            workers = [
                threading.Thread(target=work, args=(model, part * 100 + number, until, errors))
                for number in range(N_WORKERS)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            gc.collect()
            sizes.append(resident_mib())
    assert errors == []
    assert threading.active_count() == threads_before
    # A few MiB of slack for the allocator; a leak of a session's memory would be far more.
    assert sizes[-1] - sizes[1] < 20, sizes
