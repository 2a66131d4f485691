"""Keys: who is answered, who is told to come later, and in whose words."""

from __future__ import annotations

import threading

import anyio
import httpx
import pytest
from starlette.routing import Route

from headrace.errors import ParamsError
from headrace_server import ApiKey, ServerSettings, create_app
from headrace_server.access import keys as module
from headrace_server.access.keys import Keys
from headrace_server.endpoints import Answering
from headrace_server.errors import ApiError
from tests.server.conftest import Listening

KEY = "correct-horse"


async def whoever(exchange) -> None:
    """Tells a client by which key it is known."""
    await exchange.respond({"key": exchange.record.key_name, "same": exchange.key is not None})


def told(error: ApiError) -> dict:
    """The body of an error in an interface of its own."""
    return {"odd": error.code}


def ask(*keys: ApiKey, headers=None, endpoint=whoever, **options) -> httpx.Response:
    """One request at an endpoint of a server with these keys."""
    server = create_app("fake:", api_keys=keys).state.server
    transport = httpx.ASGITransport(Answering(server, endpoint, **options))

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/", headers=headers)

    return anyio.run(asked)


def test_without_keys_whoever_asks_is_answered():
    """As no key."""
    assert ask().json() == {"key": None, "same": False}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"X-Api-Key": KEY},
        {"Authorization": "Basic dXNlcjpwYXNz", "X-Api-Key": KEY},
        {"Authorization": "Bearer other", "X-Api-Key": KEY},
    ],
)
def test_a_key_is_shown_in_one_of_two_ways(headers):
    """Whatever a proxy or a client puts into the other."""
    answer = ask(ApiKey(key="first"), ApiKey(key=KEY, name="horse"), headers=headers)
    assert answer.json() == {"key": "horse", "same": True}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {KEY}x"},
        {"X-Api-Key": KEY[:-1]},
        {"X-Api-Key": KEY.upper()},
        {"X-Api-Key": "ключ".encode()},
    ],
)
def test_without_a_known_key_nothing_is_answered(headers):
    """In the shape of the interface, with how to send one."""
    answer = ask(ApiKey(key=KEY), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert "X-Api-Key" in answer.json()["error"]["message"]
    assert KEY not in answer.text
    assert ask(ApiKey(key=KEY), headers=headers, tell=told).json() == {"odd": "invalid_api_key"}


def test_a_key_without_a_name_has_a_number():
    """Logs never have the key."""
    answer = ask(ApiKey(key="first"), ApiKey(key=KEY), headers={"X-Api-Key": KEY})
    assert answer.json()["key"] == "key-2"


def test_what_is_public_needs_no_key():
    """As the health of a server."""
    assert ask(ApiKey(key=KEY), public=True).json() == {"key": None, "same": False}


def test_health_needs_no_key(serve):
    """Whoever watches the server has none."""
    with serve(api_keys=(ApiKey(key=KEY),)).client() as client:
        assert client.get("/health").status_code == 200


def test_all_keys_are_compared(monkeypatch):
    """So that the time tells nothing of which one was nearly right."""
    compared = []
    plain = module.hmac.compare_digest

    def compare(one, other):
        compared.append(other)
        return plain(one, other)

    monkeypatch.setattr(module.hmac, "compare_digest", compare)
    with Keys([ApiKey(key=KEY), ApiKey(key="other")]).admitted({"x-api-key": KEY}):
        assert compared == [KEY.encode(), b"other"]


@pytest.fixture
def clock(monkeypatch):
    """The clock of the limits, which the test moves."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def refused(keys: Keys) -> ApiError:
    """How one more request is refused."""
    with pytest.raises(ApiError) as caught, keys.admitted({"x-api-key": KEY}):
        pass
    return caught.value


def test_a_key_has_so_many_requests_at_the_same_time():
    """One more is told to wait; when one ends, there is room again."""
    keys = Keys([ApiKey(key=KEY, max_concurrent=2, name="horse"), ApiKey(key="other")])
    with keys.admitted({"x-api-key": KEY}):
        with keys.admitted({"x-api-key": KEY}):
            error = refused(keys)
            with keys.admitted({"x-api-key": "other"}) as other:
                assert other is not None
        with keys.admitted({"x-api-key": KEY}) as key:
            assert key.name == "horse"
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert "'horse' permits 2 requests at the same time" in error.message
    assert error.headers["retry-after"] == "1"


def test_a_request_that_fails_is_under_way_no_more():
    """Whatever it raised."""
    keys = Keys([ApiKey(key=KEY, max_concurrent=1)])
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), keys.admitted({"x-api-key": KEY}):
            raise ZeroDivisionError


def test_a_key_has_so_many_requests_a_minute(clock):
    """At once, if it likes; then one each time the minute's share has passed."""
    keys = Keys([ApiKey(key=KEY, requests_per_minute=3)])

    def admit():
        with keys.admitted({"x-api-key": KEY}):
            pass

    for _ in range(3):
        admit()
    error = refused(keys)
    assert (error.status, error.headers["retry-after"]) == (429, "20")
    assert "3 requests a minute; try again in 20 seconds" in error.message
    clock[0] += 13
    assert refused(keys).headers["retry-after"] == "7"
    clock[0] += 7
    admit()
    refused(keys)
    clock[0] += 10_000
    for _ in range(3):
        admit()
    refused(keys)


def test_a_refused_request_costs_nothing(clock):
    """Of the rate; what is refused for another reason does not count."""
    keys = Keys([ApiKey(key=KEY, requests_per_minute=2, max_concurrent=1)])
    with keys.admitted({"x-api-key": KEY}):
        assert "at the same time" in refused(keys).message
    with keys.admitted({"x-api-key": KEY}):
        pass
    assert "a minute" in refused(keys).message


def test_limits_hold_for_requests_under_way():
    """Over connections, with the status and the header that clients know."""
    inside, leave = threading.Event(), anyio.Event()

    async def slow(exchange) -> None:
        inside.set()
        await leave.wait()
        await exchange.respond({"done": True})

    app = create_app("fake:", api_keys=(ApiKey(key=KEY, max_concurrent=1),))
    app.router.routes.insert(0, Route("/slow", Answering(app.state.server, slow)))
    answers = []
    with Listening(app) as listening, listening.client(headers={"X-Api-Key": KEY}) as client:
        first = threading.Thread(target=lambda: answers.append(client.get("/slow")))
        first.start()
        assert inside.wait(20)
        second = client.get("/slow")
        listening.call(leave.set)
        first.join(20)
    assert second.status_code == 429
    assert second.headers["retry-after"] == "1"
    assert answers[0].json() == {"done": True}


@pytest.mark.parametrize(
    "keys",
    [
        (ApiKey(key="a"), ApiKey(key="a", name="other")),
        (ApiKey(key="a", name="n"), ApiKey(key="b", name="n")),
    ],
)
def test_two_keys_are_never_alike(keys):
    """Neither the text nor the name; the error shows no key."""
    with pytest.raises(ParamsError, match="the same key or the same name twice"):
        ServerSettings(api_keys=keys)


@pytest.mark.parametrize("key", ["", "  ", "schlüssel", "a\nb"])
def test_a_key_is_printable_text(key):
    """Which headers can carry."""
    with pytest.raises(ParamsError, match="printable ASCII"):
        ApiKey(key=key)
