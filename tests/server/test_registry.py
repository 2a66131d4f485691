"""Models are loaded by whoever needs them, shared, and leave when nobody does."""

from __future__ import annotations

import json

import anyio
import pytest

import headrace
from headrace.results.machine import DeviceMemory, MemoryEstimate
from headrace_server import ModelSpec, ServerSettings
from headrace_server.errors import ApiError
from headrace_server.models.registry import Registry


class Loads:
    """Stands before ``aload_model``: counts, holds back, fails.

    Args:
        monkeypatch: Puts it there.
    """

    def __init__(self, monkeypatch) -> None:
        self._load = headrace.aload_model
        self.began = []
        self.gate = None
        self.failures = []
        monkeypatch.setattr(headrace, "aload_model", self.load)

    async def load(self, reference, **options):
        """Load once the gate is open."""
        self.began.append(reference)
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return await self._load(reference, **options)


@pytest.fixture
def loads(monkeypatch):
    """The loads of a test."""
    return Loads(monkeypatch)


def registry_of(*names, **settings):
    """A registry of fake models, each of which writes its own name."""
    specs = [ModelSpec(name=name, reference=f"fake:{name}") for name in names]
    return Registry(specs, ServerSettings(**settings))


async def until(condition):
    """Let others run until something holds."""
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.001)


@pytest.mark.anyio
async def test_all_callers_wait_for_one_load(loads, asking):
    """However many ask at the same time, the model is loaded once."""
    registry, found = registry_of("m"), []
    loads.gate = anyio.Event()

    async def ask():
        async with registry.use("m", asking()) as served:
            found.append(served)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
        await until(lambda: loads.began and registry.place("m").load.waiting == 5)
        assert registry.place("m").state == "loading"
        loads.gate.set()
    assert loads.began == ["fake:m"]
    assert len(found) == 5
    assert len({id(each) for each in found}) == 1
    assert registry.place("m").state == "loaded"
    assert found[0].n_ctx == 4096
    await registry.aclose()


@pytest.mark.anyio
async def test_a_caller_that_goes_away_ends_the_load_for_nobody(loads, asking):
    """Not even the one that began it."""
    registry = registry_of("m")
    loads.gate = anyio.Event()
    with anyio.move_on_after(0):
        async with registry.use("m", asking()):
            pytest.fail("it was cancelled")
    await until(lambda: loads.began)
    loads.gate.set()
    async with registry.use("m", asking()) as served:
        assert served.users == 1
    assert loads.began == ["fake:m"]
    await registry.aclose()


@pytest.mark.anyio
async def test_a_deadline_bounds_the_wait_for_a_load(loads, asking):
    """The request is told to come again; the load goes on."""
    registry = registry_of("m")
    loads.gate = anyio.Event()
    with pytest.raises(ApiError, match="was not loaded within") as caught:
        async with registry.use("m", asking(time_left=0.0)):
            pytest.fail("there was no time")
    assert caught.value.status == 503
    assert int(caught.value.headers["retry-after"]) >= 1
    assert registry.place("m").state == "loading"
    await registry.aclose()
    assert registry.place("m").state == "unloaded"


@pytest.mark.anyio
async def test_a_failed_load_is_told_to_all_and_tried_again_later(loads, asking):
    """Those who waited get the reason; the next ones too until the back-off is over."""
    registry = registry_of("m")
    place = registry.place("m")
    loads.failures = [headrace.ModelLoadError("it will not")]
    for _ in range(3):
        with pytest.raises(ApiError, match="it will not") as caught:
            async with registry.use("m", asking()):
                pytest.fail("it failed")
        assert caught.value.status == 503
        assert int(caught.value.headers["retry-after"]) >= 1
    assert len(loads.began) == 1
    assert place.state == place.health == "failed"
    place.retry_at = 0.0
    async with registry.use("m", asking()):
        assert place.state == "loaded"
    assert len(loads.began) == 2
    await registry.aclose()


def test_the_back_off_doubles_up_to_a_cap():
    """And begins anew once something succeeded."""
    place = registry_of("m").place("m")
    delays = []
    for _ in range(10):
        place.note_failure(headrace.ModelLoadError("no"), 100.0)
        delays.append(place.retry_at - 100.0)
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]


@pytest.mark.anyio
async def test_a_model_in_use_is_never_unloaded(asking):
    """Asked for, it is refused; by idleness it does not come up."""
    registry = registry_of("m", idle_unload=0.0)
    place = registry.place("m")
    async with registry.use("m", asking()) as served:
        with pytest.raises(ApiError, match="1 requests use 'm'") as caught:
            await registry.unload(place)
        assert caught.value.status == 409
        for _ in range(50):
            await anyio.sleep(0)
        assert place.served is served
    await until(lambda: place.state == "sleeping")
    async with registry.use("m", asking()) as again:
        assert again is not served
    await registry.aclose()


@pytest.mark.anyio
async def test_unloading_by_name_and_loading_again(asking):
    """It gives its memory back, and comes back when it is asked for."""
    registry = registry_of("m")
    place = registry.place("m")
    async with registry.use("m", asking()) as served:
        model = served.model
    await registry.unload(place)
    assert place.state == "unloaded"
    with pytest.raises(headrace.ClosedError):
        model.tokenize("a")
    registry.begin_load(place)
    await until(lambda: place.state == "loaded")
    assert registry.begin_load(place).ended.is_set()
    await registry.aclose()


@pytest.mark.anyio
async def test_a_load_that_nobody_waits_for_can_be_ended(loads, asking):
    """With somebody waiting it is refused."""
    registry = registry_of("m")
    place = registry.place("m")
    loads.gate = anyio.Event()
    registry.begin_load(place)
    await until(lambda: loads.began)
    async with anyio.create_task_group() as tasks:

        async def ask():
            async with registry.use("m", asking()):
                pytest.fail("it is not loaded in this test")

        tasks.start_soon(ask)
        await until(lambda: place.load.waiting == 1)
        with pytest.raises(ApiError, match="1 requests use 'm'"):
            await registry.unload(place)
        tasks.cancel_scope.cancel()
    await registry.unload(place)
    assert place.state == "unloaded"
    await registry.aclose()


class Memory:
    """A machine with room for a number of models.

    Args:
        monkeypatch: Puts the estimate in its place.
        room: Bytes.
        each: Bytes that a model needs.
    """

    def __init__(self, monkeypatch, room, each) -> None:
        self.room, self.each = room, each
        self.registry = None
        monkeypatch.setattr(headrace, "aestimate_memory", self.estimate)

    async def estimate(self, reference, **settings):
        """What one more model would need beside those that are loaded."""
        places = self.registry.places.values()
        free = self.room - self.each * sum(place.served is not None for place in places)
        needed = DeviceMemory(device="CPU", weights=self.each, free=free)
        return MemoryEstimate(backend="fake", n_ctx=64, devices=(needed,))


@pytest.mark.anyio
async def test_idle_models_leave_to_make_room(monkeypatch, asking):
    """The one that was not used for longest first; one in use stays."""
    memory = Memory(monkeypatch, room=250, each=100)
    registry = memory.registry = registry_of("a", "b", "c")
    states = dict(registry.places)
    for name in ("a", "b", "a"):
        async with registry.use(name, asking()):
            await anyio.sleep(0.002)
    async with registry.use("c", asking()):
        assert [each.state for each in states.values()] == ["loaded", "sleeping", "loaded"]
        async with registry.use("b", asking()):
            assert [each.state for each in states.values()] == ["sleeping", "loaded", "loaded"]
            with pytest.raises(ApiError, match="needs 100 bytes of memory on CPU, and 50") as full:
                async with registry.use("a", asking()):
                    pytest.fail("there is no room")
    assert (full.value.status, full.value.code) == (503, "out_of_memory")
    assert full.value.details == {"bytes_needed": 100, "bytes_free": 50}
    await registry.aclose()


@pytest.mark.anyio
async def test_a_load_that_finds_no_memory_takes_that_of_the_idle(loads, asking):
    """Where no estimate has told before."""
    registry = registry_of("a", "b")
    async with registry.use("a", asking()):
        pass
    loads.failures = [headrace.ModelMemoryError("full")]
    async with registry.use("b", asking()):
        assert registry.place("a").state == "sleeping"
    loads.failures = [headrace.ModelMemoryError("full")] * 3
    with pytest.raises(ApiError, match="full") as caught:
        async with registry.use("a", asking()):
            pytest.fail("there is no memory")
    assert caught.value.code == "out_of_memory"
    await registry.aclose()


def test_models_are_listed_with_their_states(serve):
    """Before and after a load, by list and by name."""
    server = serve({"a": "fake:A", "b/c": "fake:B"})
    with server.client() as client:
        before = client.get("/v1/models").json()
        assert before["object"] == "list"
        assert [each["id"] for each in before["data"]] == ["a", "b/c"]
        assert {each["status"]["value"] for each in before["data"]} == {"unloaded"}
        assert client.post("/models/load", json={"model": "b/c"}).json()["success"] is True
        wait_for(server, "b/c", "loaded")
        shown = client.get("/v1/models/b/c").json()
        assert shown["object"] == "model"
        assert shown["status"] == {"value": "loaded"}
        assert shown["meta"]["n_ctx"] == 4096
        assert "chat" in shown["meta"]["capabilities"]
        assert client.get("/models").json()["data"][1] == shown
        assert client.post("/models/unload", json={"model": "b/c"}).status_code == 200
        assert client.get("/v1/models/b/c").json()["status"]["value"] == "unloaded"
        assert "builds" in client.get("/version").json()


def test_what_is_not_there_is_a_404_that_names_what_is(serve):
    """Also where one model alone is served: loading is by its own name."""
    with serve({"a": "fake:"}).client() as client:
        for answer in (
            client.get("/v1/models/x"),
            client.post("/models/load", json={"model": "x"}),
            client.post("/models/unload", json={"model": "x"}),
        ):
            assert answer.status_code == 404
            assert answer.json()["error"]["param"] == "model"
            assert "'x'" in answer.json()["error"]["message"]
        wrong = client.post("/models/load", json={"model": 3})
        assert wrong.status_code == 400
        assert wrong.json()["error"]["param"] == "model"


def test_events_tell_what_happens_to_a_model(serve):
    """The states at first, then loading with its progress, loaded, unloaded, failed."""
    server = serve({"a": "fake:A", "bad": "fake:#load_fault=format"})
    with server.client() as client, client.stream("GET", "/models/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = (
            json.loads(line.removeprefix("data: "))
            for line in stream.iter_lines()
            if line.startswith("data: ")
        )
        first = [next(events), next(events)]
        assert [each["model"] for each in first] == ["a", "bad"]
        assert {each["data"]["status"] for each in first} == {"unloaded"}
        client.post("/models/load", json={"model": "a"})
        seen = [next(events)]
        while seen[-1]["data"]["status"] == "loading":
            seen.append(next(events))
        assert seen[-1]["data"] == {"status": "loaded"}
        shares = [each["data"]["progress"]["value"] for each in seen[:-1]]
        assert shares == sorted(shares)
        assert len(shares) > 1
        client.post("/models/unload", json={"model": "a"})
        assert next(events)["data"]["status"] == "unloaded"
        client.post("/models/load", json={"model": "bad"})
        seen = [next(events)]
        while seen[-1]["data"]["status"] == "loading":
            seen.append(next(events))
        assert seen[-1]["model"] == "bad"
        assert seen[-1]["data"]["status"] == "failed"
        assert seen[-1]["data"]["error"]


def wait_for(server, name, state):
    """Ask until a model is in a state."""
    with server.client() as client:
        for _ in range(2000):
            if client.get(f"/v1/models/{name}").json()["status"]["value"] == state:
                return
    pytest.fail(f"{name} did not become {state}")
