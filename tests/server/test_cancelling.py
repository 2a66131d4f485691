"""A client that goes away frees its seat, disturbs nobody and leaves what was computed."""

from __future__ import annotations

import contextlib
import threading

import httpx
import pytest

from headrace import EngineParams
from headrace_server import ModelSpec
from tests.server.asking import CHAT, HELLO, answer, chat, streamed, until

WORDS = "".join(f"w{number} " for number in range(40))


class Gone:
    """A request whose client goes away when the test says so.

    Args:
        server: Whom it asks.
        **fields: Of the request.
    """

    def __init__(self, server, **fields) -> None:
        self._server = server
        self._fields = {"messages": HELLO, "stream": True, **fields}
        self._client = server.client()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self):
        # What a client sees of its own going away is its own affair.
        with contextlib.suppress(httpx.TransportError):
            self._client.post(CHAT, json=self._fields)

    def go(self):
        """Cut the connection, wherever the request is."""
        for connection in self._client._transport._pool.connections:
            connection._connection._network_stream.get_extra_info("socket").shutdown(2)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the connection is cut"
        self._client.close()


def admission(server):
    """The queue of a server's only model."""
    return server.state.registry.place("m").served.admission


def start(serve, reference, n_sequences, **settings):
    """A server of one model, which is loaded."""
    spec = ModelSpec(
        name="m", reference=reference, engine=EngineParams(n_sequences=n_sequences, n_ctx=8192)
    )
    server = serve([spec], **settings)
    with server.client() as client:
        answer(client, max_tokens=1, messages=[{"role": "user", "content": "ready?"}])
    until(lambda: not admission(server).taken)
    return server


def other_stream(server, found):
    """Somebody else's request beside the one that is cut."""

    def ask():
        with server.client() as client:
            chunks = streamed(client, messages=[{"role": "user", "content": "Another one"}])
            found.append(
                "".join(
                    choice["delta"].get("content") or ""
                    for chunk in chunks
                    for choice in chunk["choices"]
                )
            )

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def test_while_decoding(serve):
    """The other stream is whole; the next turn finds prompt and answer in memory."""
    server = start(serve, f"fake:{WORDS}#delay=0.01", 2)
    found = []
    gone = Gone(server, messages=[{"role": "user", "content": "word " * 100}])
    until(lambda: admission(server).seated == 1)
    other = other_stream(server, found)
    until(lambda: admission(server).seated == 2)
    gone.go()
    until(lambda: admission(server).seated == 1)
    other.join(30)
    assert found == [WORDS]
    with server.client() as client:
        usage = answer(client, messages=[{"role": "user", "content": "word " * 100}], max_tokens=1)[
            "usage"
        ]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= 100


def test_in_the_prefill(serve):
    """Before there is a first token, inside of a native call."""
    server = start(serve, f"fake:{WORDS}#prefill_delay=0.02", 2)
    pulse = server.state.registry.place("m").served.pulse
    gone = Gone(server, messages=[{"role": "user", "content": "word " * 300}])
    until(lambda: pulse.waiting == 1)
    gone.go()
    until(lambda: not admission(server).taken)
    with server.client() as client:
        assert answer(client)["choices"][0]["message"]["content"] == WORDS


def test_in_the_queue(serve):
    """Its place is free for others; who is at work and who waits behind it are not disturbed."""
    server = start(serve, f"fake:{WORDS}#delay=0.01", 1)
    found, behind = [], []
    first = other_stream(server, found)
    until(lambda: admission(server).seated == 1)
    gone = Gone(server)
    until(lambda: admission(server).queued == 1)
    last = other_stream(server, behind)
    until(lambda: admission(server).queued == 2)
    gone.go()
    until(lambda: admission(server).queued < 2)
    first.join(30)
    last.join(30)
    assert found == behind == [WORDS]
    assert admission(server).taken == admission(server).queued == 0


def test_while_the_model_is_loaded(serve):
    """The load goes on for the others."""
    server = serve([ModelSpec(name="m", reference=f"fake:{WORDS}#load_delay=2")])
    place = server.state.registry.place("m")
    gone = Gone(server)
    until(lambda: place.load is not None and place.load.waiting == 1)
    found = []
    other = other_stream(server, found)
    until(lambda: place.load is not None and place.load.waiting == 2)
    gone.go()
    other.join(30)
    assert found == [WORDS]
    assert admission(server).taken == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_stands_still_is_told_by_health_until_it_goes_on(serve, stream):
    """With its name and a 503; nothing else is ill, and a new token ends it."""
    server = start(serve, "fake:a b c#delay=0.6", 1, stalled_after=0.2)
    with server.client() as client:
        assert client.get("/health").json() == {"status": "ok", "models": {"m": "ok"}}
        asked = threading.Thread(
            target=lambda: chat(client, stream=stream, max_tokens=2), daemon=True
        )
        asked.start()
        with server.client() as other:
            until(lambda: other.get("/health").status_code == 503)
            asked.join(20)
            health = other.get("/health")
            assert health.status_code == 200
            assert health.json()["status"] == "ok"


def test_a_standstill_is_named(serve):
    """Which model it is."""
    server = start(serve, "fake:a b c", 1)
    served = server.state.registry.place("m").served

    class Still:
        def statistics(self):
            return type("Counted", (), {"steps": 0})

    served.pulse.patience = -1.0
    served.pulse.wait("reader", Still())
    with server.client() as client:
        health = client.get("/health")
    assert health.status_code == 503
    assert health.json()["status"] == "stalled"
    assert health.json()["models"] == {"m": "stalled"}
    assert "m" in health.json()["message"].split(": ")[1]
    served.pulse.leave("reader")
