"""The same streams for tasks, under asyncio and under trio."""

from __future__ import annotations

import threading

import anyio
import anyio.to_thread
import pytest

from headrace import BusyError, ClosedError, StopReason

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    """Both event loops."""
    return request.param


async def test_a_stream_is_read_by_async_for(session, greedy):
    """Its chunks are those of a plain loop."""
    stream = session.generate("Hello", sampling=greedy, max_tokens=8, ignore_eog=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.text for chunk in chunks) == stream.result.text
    assert len(stream.result.tokens) == 8


async def test_tasks_share_the_engine(target, greedy):
    """More tasks than sequences, each with all of its tokens."""
    with target.load(n_sequences=4) as model:
        done = {}

        async def talk(number):
            async with model.open_session() as session:
                done[number] = await session.acomplete(
                    f"task {number}", sampling=greedy, max_tokens=6, ignore_eog=True
                )

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(talk, number)
    assert [len(done[number].tokens) for number in range(10)] == [6] * 10


async def test_threads_and_tasks_mix(target, greedy):
    """One model, a thread and two tasks."""
    with target.load() as model:
        done = []

        def in_thread():
            with model.open_session() as session:
                done.append(session.complete("t", sampling=greedy, max_tokens=20, ignore_eog=True))

        async def in_task():
            async with model.open_session() as session:
                done.append(
                    await session.acomplete("a", sampling=greedy, max_tokens=20, ignore_eog=True)
                )

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, in_thread)
            group.start_soon(in_task)
            group.start_soon(in_task)
    assert [len(each.tokens) for each in done] == [20] * 3


async def test_leaving_the_block_cancels(session, greedy):
    """And the session remembers what was read."""
    async with session.generate("Hello", sampling=greedy, ignore_eog=True) as stream:
        read = (await stream.__anext__()).tokens
    assert stream.result.stop_reason is StopReason.CANCELLED
    assert session.tokens[-len(read) :] == list(read)
    assert (await session.acomplete(None, sampling=greedy, max_tokens=1, ignore_eog=True)).tokens


async def test_cancelling_the_task_cancels_the_stream(session, greedy):
    """The session is usable afterwards."""
    started = anyio.Event()

    async def read():
        async with session.generate("Hello", sampling=greedy, ignore_eog=True) as stream:
            streams.append(stream)
            async for _ in stream:
                started.set()

    streams = []
    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await started.wait()
        group.cancel_scope.cancel()
    # It may have come to the end of the context in the meantime.
    assert streams[0].result.stop_reason in (StopReason.CANCELLED, StopReason.CONTEXT_FULL)
    seen = session.tokens
    assert tuple(seen[-len(streams[0].result.tokens) :]) == streams[0].result.tokens


async def test_a_time_out_ends_a_stream(session):
    """Also one that was never read."""
    stream = session.generate("abc", timeout=0.0)
    assert [chunk async for chunk in stream] == []
    assert stream.result.stop_reason is StopReason.TIMED_OUT


async def test_two_tasks_cannot_read_one_stream(session, greedy):
    """The second is told so, the first goes on."""
    stream = session.generate("Hello", sampling=greedy, max_tokens=30, ignore_eog=True)
    errors = []

    async def read():
        try:
            async for _ in stream:
                pass
        except BusyError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(read)
    assert len(errors) == 1
    assert len(stream.result.tokens) == 30


async def test_a_stream_may_change_between_plain_and_async_loops(session, greedy):
    """It is the same object."""
    stream = session.generate("Hello", sampling=greedy, max_tokens=6, ignore_eog=True)
    first = next(stream)
    rest = [chunk async for chunk in stream]
    assert first.text + "".join(chunk.text for chunk in rest) == stream.result.text


async def test_closing_the_model_ends_the_streams_of_tasks(target, greedy):
    """They get ClosedError."""
    model = target.load(n_ctx=4096)
    ends = []

    async def read(number):
        stream = model.open_session().generate(f"{number}", sampling=greedy, ignore_eog=True)
        try:
            async for _ in stream:
                pass
        except ClosedError as error:
            ends.append(error)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(read, number)
        await anyio.lowlevel.checkpoint()
        await model.aclose()
    assert len(ends) == 3


async def test_the_event_loop_goes_on_while_a_step_runs(target, session, greedy):
    """Another task has turns during a generation; how many, is a matter of the machine."""
    turns = 0
    over = False

    async def turn():
        nonlocal turns
        while not over:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(turn)
        await session.acomplete("Hello", sampling=greedy, max_tokens=20, ignore_eog=True)
        over = True
    assert turns >= 1


async def test_one_worker_thread_drives_for_all_tasks(target, greedy):
    """However many there are."""
    with target.load() as model:
        before = threading.active_count()
        most = 0

        async def talk(number):
            nonlocal most
            async with model.open_session() as session:
                async for _ in session.generate(
                    f"{number}", sampling=greedy, max_tokens=5, ignore_eog=True
                ):
                    most = max(most, threading.active_count())

        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(talk, number)
    # The one that drives, and one that has just handed over and is on its way out.
    assert most <= before + 3
