"""Those who read, in threads and tasks: moments that were thought through once."""

from __future__ import annotations

import threading

import anyio
import pytest

from headrace import BusyError, StopReason


def test_a_cancel_just_before_a_task_waits_is_not_lost(fake):
    """It finds no waiter to wake, so the task must look again before it waits."""
    engine = fake()
    stream = engine.stream()
    role = stream._owner._engine.role
    enlist = role.enlist

    def cancel_then_enlist(generation, waiter):
        stream.cancel()
        enlist(generation, waiter)

    role.enlist = cancel_then_enlist

    async def main():
        with anyio.fail_after(10):
            return [chunk async for chunk in stream]

    assert anyio.run(main) == []
    assert stream.result.stop_reason is StopReason.CANCELLED


def test_a_worker_thread_that_cannot_start_is_tried_again(fake, monkeypatch):
    """The task that needed it gets the error, later ones get their tokens."""
    engine = fake()
    start = threading.Thread.start
    refused = []

    def refuse_once(thread):
        if thread.name == "headrace-driver" and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)

    async def main():
        with anyio.fail_after(10):
            with pytest.raises(RuntimeError, match="new thread"):
                await engine.model.open_session().acomplete("x", max_tokens=3)
            session = engine.model.open_session()
            return await session.acomplete("x", max_tokens=3, ignore_eog=True)

    assert len(anyio.run(main).tokens) == 3


def test_a_thread_cannot_read_a_stream_that_a_task_reads(fake):
    """One of them would take what the other waits for."""
    refused = []

    def on_step(step_id, rows):
        if step_id == 3:
            with pytest.raises(BusyError) as caught:
                next(streams[0])
            refused.append(caught.value)

    engine = fake(on_step=on_step)
    streams = [engine.stream(max_tokens=6)]

    async def main():
        with anyio.fail_after(10):
            return [chunk async for chunk in streams[0]]

    anyio.run(main)
    assert len(refused) == 1
    assert len(streams[0].result.tokens) == 6
