"""What a task has a worker thread do: done once, waited for or not, and given back if unwanted."""

from __future__ import annotations

import asyncio
import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from headrace.common.workers import in_worker, let_go

pytestmark = pytest.mark.anyio
_PATIENCE = 30.0
"""Seconds that tell a hang from an end."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    """Both event loops."""
    return request.param


class Held:
    """An action that waits to be let go, and what becomes of what it makes."""

    def __init__(self):
        self.arrived, self.opened = threading.Event(), threading.Event()
        self.given_back = threading.Event()
        self.done = []

    def __call__(self):
        """Wait, and make it."""
        self.arrived.set()
        assert self.opened.wait(_PATIENCE)
        self.done.append("made")
        return "made"

    def give_back(self, made):
        """Called for what nobody has."""
        assert made == "made"
        self.given_back.set()

    async def has_arrived(self):
        """Wait for a worker thread to be in it, without one."""
        while not self.arrived.is_set():
            await anyio.sleep(0.001)


async def test_the_result_belongs_to_the_task():
    """Nothing is given back then."""
    held = Held()
    held.opened.set()
    assert await in_worker(held, unwanted=held.give_back) == "made"
    assert await in_worker(held, cancel=let_go, unwanted=held.give_back) == "made"
    assert not held.given_back.is_set()


async def test_an_error_is_the_tasks_own():
    """Also that of a call that can be ended."""
    for cancel in (None, let_go):
        with pytest.raises(LookupError):
            await in_worker(lambda: {}["missing"], cancel=cancel)


async def test_a_program_without_free_threads_is_no_obstacle():
    """The limiter of its worker threads is another one."""
    limiter = anyio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = 1
    async with limiter:
        with anyio.fail_after(_PATIENCE):
            assert await in_worker(lambda: 1) == 1


async def test_a_cancelled_task_leaves_what_can_be_ended(anyio_backend):
    """It is told to end, and what it makes all the same is given back."""
    held, cancelled = Held(), []
    async with anyio.create_task_group() as group:

        async def call():
            await in_worker(held, cancel=lambda: cancelled.append(1), unwanted=held.give_back)

        group.start_soon(call)
        await held.has_arrived()
        group.cancel_scope.cancel()
    assert cancelled == [1]
    assert held.done == []
    held.opened.set()
    assert held.given_back.wait(_PATIENCE)


async def test_a_cancelled_task_waits_for_what_cannot_be_ended():
    """It has its result, and is cancelled when it waits for something else."""
    held, got = Held(), []
    async with anyio.create_task_group() as group:

        async def call():
            got.append(await in_worker(held, unwanted=held.give_back))
            await anyio.lowlevel.checkpoint()
            got.append("not cancelled")

        group.start_soon(call)
        await held.has_arrived()
        group.cancel_scope.cancel()
        held.opened.set()
    assert got == ["made"]
    assert not held.given_back.is_set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_asyncio_cancels_inside_a_shield():
    """As ``asyncio.timeout`` does: the task waits, and what was made for it is given back."""
    held = Held()
    task = asyncio.create_task(in_worker(held, unwanted=held.give_back))
    await held.has_arrived()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    held.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held.done == ["made"]
    assert held.given_back.is_set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_what_was_asked_for_is_done_even_if_the_task_is_cancelled_at_once():
    """Before any thread has begun: closing must happen."""
    held = Held()
    held.opened.set()
    task = asyncio.create_task(in_worker(held, unwanted=held.give_back))
    await asyncio.sleep(0)  # it has asked for a thread, and has none
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held.done == ["made"]
    assert held.given_back.is_set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
@pytest.mark.parametrize("cancel", [None, let_go])
async def test_a_result_that_is_on_its_way_to_a_cancelled_task_is_given_back(cancel):
    """The thread has ended, and the task is cancelled before it runs again."""
    held = Held()
    task = asyncio.create_task(in_worker(held, cancel=cancel, unwanted=held.give_back))
    await held.has_arrived()
    held.opened.set()
    while not held.done:  # the loop has no turn: it does not learn of the result
        pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held.given_back.wait(_PATIENCE)
