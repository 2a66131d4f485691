"""Who generates now, who waits, who is told to come later: on a clock that a test moves."""

from __future__ import annotations

import math

import anyio
import attrs
import httpx
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import EngineParams
from headrace_server import ModelSpec
from headrace_server.errors import ApiError
from headrace_server.generation.admission import MOST_PATIENCE, Admission, RetiredError
from tests.server.asking import CHAT, HELLO, until
from tests.server.conftest import Asking


@attrs.frozen
class Plan:
    """What a client is going to do; times in whole seconds."""

    arrives: int
    lasts: int
    seats: int
    deadline: int | None
    leaves_after: int | None


def plans(seats):
    """Clients of a model with so many seats."""
    return st.builds(
        Plan,
        arrives=st.integers(0, 8),
        lasts=st.integers(0, 6),
        seats=st.integers(1, seats + 1),
        deadline=st.none() | st.integers(0, 9),
        leaves_after=st.none() | st.integers(0, 9),
    )


class Watch:
    """Clients at an admission, and what became of them.

    Args:
        admission: Where they ask.
    """

    def __init__(self, admission) -> None:
        self.admission = admission
        self.asked = []
        self.seated = {}
        self.ends = {}

    async def client(self, number, plan):
        """Ask for seats, keep them, give them back."""
        await trio.sleep(plan.arrives)
        admission = self.admission
        full = admission.queued >= admission.max_queue
        free = not admission.queued and admission.taken + plan.seats <= admission.seats
        self.asked.append(number)
        asking = Asking(None if plan.deadline is None else float(plan.deadline))
        limit = math.inf if plan.leaves_after is None else plan.leaves_after
        with trio.move_on_after(limit) as scope:
            try:
                async with admission.seat(asking, plan.seats):
                    self.seated[number] = trio.current_time()
                    self.check()
                    await trio.sleep(plan.lasts)
                self.ends[number] = "done"
            except ApiError as error:
                self.ends[number] = error.status
                self.check_refusal(error, plan, full=full, free=free)
        if scope.cancelled_caught:
            self.ends[number] = "left"
        if plan.seats <= admission.seats:
            assert not (free and self.ends[number] == 429)
            assert not (full and not free and self.ends[number] == "done")
        self.check()

    def check_refusal(self, error, plan, *, full, free):
        """What is told is true of the moment of arrival."""
        if plan.seats > self.admission.seats:
            assert (error.status, error.param) == (400, "n")
        else:
            assert error.status == 429
            assert 1 <= int(error.headers["retry-after"]) <= MOST_PATIENCE
            assert full if "queue is full" in error.message else not free

    def check(self):
        """What holds at any moment."""
        admission = self.admission
        assert 0 <= admission.taken <= admission.seats
        assert admission.queued <= admission.max_queue


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    seats=st.integers(1, 4),
    max_queue=st.integers(0, 5),
)
def test_seats_are_given_in_the_order_of_arrival_and_all_come_back(data, seats, max_queue):
    """Whoever cancels, times out, is refused or needs several seats."""
    clients = data.draw(st.lists(plans(seats), min_size=1, max_size=12))
    watch = Watch(Admission(seats, max_queue))

    async def main():
        async with trio.open_nursery() as nursery:
            for number, plan in enumerate(clients):
                nursery.start_soon(watch.client, number, plan)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    times = [watch.seated[number] for number in watch.asked if number in watch.seated]
    assert times == sorted(times), "nobody was overtaken"
    assert len(watch.ends) == len(clients)
    assert watch.admission.taken == watch.admission.queued == watch.admission.seated == 0


def run(main):
    """Run a test's coroutine on a clock that jumps."""
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_no_seat_is_left_empty_while_somebody_waits_for_it():
    """The next one sits down in the moment in which one leaves."""
    admission, times = Admission(2, 10), []

    async def client():
        async with admission.seat(Asking()):
            times.append(trio.current_time())
            await trio.sleep(10)

    async def main():
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(client)
        times[:] = [round(each - began) for each in times]

    run(main)
    assert times == [0, 0, 10, 10, 20, 20]


def test_one_that_needs_many_seats_is_not_starved():
    """Those behind it wait until it had its turn."""
    admission, order = Admission(3, 10), []

    async def client(name, seats, after):
        await trio.sleep(after)
        async with admission.seat(Asking(), seats):
            order.append(name)
            await trio.sleep(10)

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client, "first", 1, 0)
            nursery.start_soon(client, "all", 3, 1)
            for number in range(3):
                nursery.start_soon(client, f"later {number}", 1, 2 + number)

    run(main)
    assert order[:2] == ["first", "all"]
    assert len(order) == 5


def test_when_to_come_again_follows_how_long_requests_last():
    """Those under way count as long as they have lasted so far."""
    admission, told = Admission(1, 0), []

    async def sit(seconds):
        async with admission.seat(Asking()):
            await trio.sleep(seconds)

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sit, 1000)
            for _ in range(4):
                await trio.sleep(10)
                with pytest.raises(ApiError) as caught:
                    async with admission.seat(Asking()):
                        pytest.fail("it is full")
                told.append(int(caught.value.headers["retry-after"]))
            await trio.sleep(500)
            told.append(admission.retry_after())
            nursery.cancel_scope.cancel()

    run(main)
    assert told == [10, 20, 30, 40, MOST_PATIENCE]


def test_a_retired_model_sends_its_queue_away():
    """Those who have a seat keep it; nobody else gets one."""
    admission, ends = Admission(1, 10), []

    async def client(name, after):
        await trio.sleep(after)
        try:
            async with admission.seat(Asking(30.0)):
                await trio.sleep(10)
                ends.append(name)
        except RetiredError:
            ends.append(f"{name} sent away")

    async def main():
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(client, str(number), number)
            await trio.sleep(5)
            admission.close()
            nursery.start_soon(client, "late", 0)

    run(main)
    assert sorted(ends) == ["0", "1 sent away", "2 sent away", "late sent away"]
    assert admission.taken == 0


def test_two_hundred_clients_and_a_queue_of_sixteen(serve):
    """Four have seats, sixteen wait, all others are told to come later: exactly."""
    spec = ModelSpec(
        name="m",
        reference="fake:" + "w " * 2000 + "#delay=0.05",
        engine=EngineParams(n_sequences=4),
    )
    server = serve([spec], max_queue=16)
    statuses = []

    async def one(client):
        body = {"messages": HELLO, "stream": True}
        async with client.stream("POST", CHAT, json=body) as response:
            statuses.append(response.status_code)
            if response.status_code == 200:
                async for _ in response.aiter_lines():
                    pass
            else:
                assert int(response.headers["retry-after"]) >= 1

    async def main():
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(200):
                tasks.start_soon(one, client)
            with anyio.fail_after(60):
                while len(statuses) < 184:
                    await anyio.sleep(0.01)
            admission = server.state.registry.place("m").served.admission
            assert (admission.seated, admission.queued) == (4, 16)
            tasks.cancel_scope.cancel()

    with server.client() as client:
        assert client.post("/models/load", json={"model": "m"}).status_code == 200
    until(lambda: server.state.registry.place("m").served is not None)
    anyio.run(main)
    assert statuses.count(429) == 180
    assert statuses.count(200) == 4
    admission = server.state.registry.place("m").served.admission
    until(lambda: admission.taken == admission.queued == 0)
