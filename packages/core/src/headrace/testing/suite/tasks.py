"""The same streams for tasks, under asyncio and under trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from headrace.errors import ClosedError
from headrace.results import StopReason
from headrace.testing.kit import Kit, expect, expect_equal
from headrace.testing.rules import rule


def _on_each_loop(work: Callable[[], Awaitable[None]]) -> None:
    import anyio

    for loop in ("asyncio", "trio"):
        anyio.run(work, backend=loop)


@rule("async.stream")
def stream(kit: Kit) -> None:
    """An async for loop reads what a plain one reads."""

    async def read() -> None:
        async with kit.session() as session:
            reading = kit.stream(session, n=8)
            chunks = [chunk async for chunk in reading]
            expect_equal("".join(each.text for each in chunks), reading.result.text, "text")
            expect_equal(reading.result.stop_reason, StopReason.MAX_TOKENS, "stop_reason")

    _on_each_loop(read)


@rule("async.tasks")
def tasks(kit: Kit) -> None:
    """Tasks with sessions of their own each get all of their tokens."""

    async def work() -> None:
        import anyio

        ends: list[StopReason] = []

        async def talk(number: int) -> None:
            async with kit.session() as session:
                prompt, keywords = kit.arguments(f"task {number}", 6, {})
                ends.append((await session.acomplete(prompt, **keywords)).stop_reason)

        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(talk, number)
        expect_equal(ends, [StopReason.MAX_TOKENS] * 6, "ends")

    _on_each_loop(work)


@rule("async.cancel", endless=True)
def cancel(kit: Kit) -> None:
    """Cancelling the task cancels the stream, and the session goes on."""

    async def work() -> None:
        import anyio

        # A context large enough that the model is not done before the cancel.
        async with kit.load(n_ctx=4096) as model, model.open_session() as session:
            reading = kit.stream(session)
            started = anyio.Event()

            async def read() -> None:
                async with reading:
                    async for _ in reading:
                        started.set()

            async with anyio.create_task_group() as group:
                group.start_soon(read)
                await started.wait()
                group.cancel_scope.cancel()
            expect_equal(reading.result.stop_reason, StopReason.CANCELLED, "stop_reason")
            prompt, keywords = kit.arguments(" and", 2, {})
            expect(
                (await session.acomplete(prompt, **keywords)).text, "nothing was written after it"
            )

    _on_each_loop(work)


@rule("async.loop_turns")
def loop_turns(kit: Kit) -> None:
    """The event loop turns while the model computes."""

    async def work() -> None:
        import anyio
        import anyio.lowlevel

        turns, over = 0, False

        async def turn() -> None:
            nonlocal turns
            while not over:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with kit.session() as session, anyio.create_task_group() as group:
            group.start_soon(turn)
            prompt, keywords = kit.arguments(..., 16, {})
            await session.acomplete(prompt, **keywords)
            over = True
        expect(turns > 0, "another task had no turn while 16 tokens were written")

    _on_each_loop(work)


@rule("async.close", endless=True)
def close(kit: Kit) -> None:
    """Closing the model ends the streams of tasks with ClosedError."""

    async def work() -> None:
        import anyio

        model = kit.load(n_ctx=4096)
        ends: list[str] = []
        started = anyio.Event()

        async def read(number: int) -> None:
            reading = kit.stream(model.open_session(), f"{number}")
            try:
                async for _ in reading:
                    started.set()
                ends.append(str(reading.result.stop_reason))
            except ClosedError:
                ends.append("closed")

        async with anyio.create_task_group() as group:
            for number in range(2):
                group.start_soon(read, number)
            await started.wait()
            await model.aclose()
        expect("closed" in ends and len(ends) == 2, f"two streams ended by {ends}")

    _on_each_loop(work)
