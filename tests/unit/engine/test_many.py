"""A thousand streams in one process, and what they cost when nobody reads them."""

from __future__ import annotations

import itertools
import threading

import anyio
import pytest

from headrace import SamplingParams, SessionParams
from headrace.engine import fairness, steps

GREEDY = SamplingParams(temperature=0.0)
MANY = 1000


def test_a_thousand_tasks_stream_at_the_same_time(fake):
    """Each gets its own text, and nothing is left behind."""
    engine = fake(script="Hello", engine={"n_sequences": 8})
    texts = []

    async def talk(number):
        async with engine.model.open_session() as session:
            texts.append((await session.acomplete(f"{number}", sampling=GREEDY)).text)

    async def main():
        async with anyio.create_task_group() as group:
            for number in range(MANY):
                group.start_soon(talk, number)

    anyio.run(main)
    assert texts == ["Hello"] * MANY


def test_a_hundred_threads_stream_at_the_same_time(fake):
    """The same with threads."""
    engine = fake(script="Hello", engine={"n_sequences": 8})
    texts = []

    def talk(number):
        with engine.model.open_session() as session:
            texts.append(session.complete(f"{number}", sampling=GREEDY).text)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["Hello"] * 100


@pytest.mark.parametrize("lookahead", [1, 4])
def test_a_stream_nobody_reads_is_left_out_once_its_buffer_is_full(fake, lookahead):
    """Others drive the engine for as long as they like; it holds no more than that."""
    engine = fake(engine={"lookahead": lookahead})
    unread, read = engine.stream("unread"), engine.stream("read", max_tokens=200)
    list(read)
    statistics = unread.statistics()
    assert statistics.buffered_tokens == lookahead
    assert statistics.steps <= lookahead + 1
    assert statistics.delivered_tokens == 0


def test_nobody_starves(fake, monkeypatch):
    """Of twenty tasks on two sequences none waits longer than the others' quanta in turn."""
    waits = []
    apply = steps.apply

    def noting(step, planned, *rest):
        waits.append(step.step_id - planned.sequence.last_step)
        apply(step, planned, *rest)

    monkeypatch.setattr(steps, "apply", noting)
    engine = fake(engine={"n_sequences": 2})
    done = []

    async def talk(number):
        async with engine.model.open_session() as session:
            done.append(
                await session.acomplete(
                    f"{number}", sampling=GREEDY, max_tokens=300, ignore_eog=True
                )
            )

    async def main():
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(talk, number)

    anyio.run(main)
    assert [len(each.tokens) for each in done] == [300] * 20
    # Nine pairs go before; each may have its memory to rebuild, in chunks, on top of its quantum.
    rebuilding = -(-310 // fairness.MIN_CHUNK) * 2
    assert max(waits) <= 9 * (fairness.QUANTUM + rebuilding) + fairness.PATIENCE


@pytest.mark.parametrize("how", ["threads", "tasks"])
def test_sequences_that_share_no_step_take_turns(fake, how):
    """Eight reproducible sessions: no reader that waits is passed over for more than a round."""
    order = []
    engine = fake(delay=0.0005, on_step=lambda step_id, rows: order.append(rows[0].sequence))
    params = SessionParams(reproducible=True)
    arguments = {"sampling": GREEDY, "max_tokens": 40, "ignore_eog": True}

    def talk(number):
        with engine.model.open_session(params) as session:
            session.complete(f"{number}", **arguments)

    async def atalk(number):
        async with engine.model.open_session(params) as session:
            await session.acomplete(f"{number}", **arguments)

    async def main():
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(atalk, number)

    if how == "tasks":
        anyio.run(main)
    else:
        threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # From the moment at which all have begun until the first has ended.
    begun = max(order.index(slot) for slot in range(8))
    ended = min(len(order) - order[::-1].index(slot) for slot in range(8))
    for slot in range(8):
        steps_of_slot = [at for at in range(begun, ended) if order[at] == slot]
        gaps = [after - before for before, after in itertools.pairwise(steps_of_slot)]
        assert max(gaps, default=0) <= 8 + 2 * fairness.PATIENCE
