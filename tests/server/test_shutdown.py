"""The end of a server: who may finish, who is told, and what the process exits with."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading

import anyio
import httpx
import pytest
from starlette.routing import Route

from headrace_server import create_app
from headrace_server.endpoints import Answering
from headrace_server.http.events import event
from tests.server.conftest import Listening
from tests.server.process import HELD, serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
GRACE = ("--shutdown-grace", "60")


def after_the_end_was_asked_for(server, stream):
    """The lines of a stream that come after its first event, when the server was told to end."""
    lines = stream.iter_lines()
    assert next(lines) == 'data: "first"'
    server.send(signal.SIGTERM)
    return [each for each in lines if each]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_does_nothing_ends_at_once(number):
    """Whoever asks, with the exit code of what was done."""
    with serving("fake:Hello") as server:
        server.wait_until_ready()
        server.send(number)
        assert server.ended()[0] == 0


def test_a_connection_without_a_request_holds_nobody():
    """Clients keep theirs open."""
    with serving("fake:Hello", *GRACE) as server, server.client() as client:
        server.wait_until_ready()
        assert client.get("/health").status_code == 200
        server.send(signal.SIGTERM)
        assert server.ended()[0] == 0


def refuses_connections(server) -> None:
    """Return once nobody can connect any more."""
    while True:
        try:
            with server.client() as client:
                client.get("/health")
        except httpx.TransportError:
            return


def test_streams_finish_and_nobody_else_is_let_in():
    """What is under way ends as it would have."""
    with (
        serving("fake:Hello", *GRACE, prepare=HELD) as server,
        server.client() as client,
        server.client() as other,
    ):
        server.wait_until_ready()
        with client.stream("GET", "/held") as stream, other.stream("GET", "/held") as second:
            lines, more = stream.iter_lines(), second.iter_lines()
            assert next(lines) == next(more) == 'data: "first"'
            server.send(signal.SIGTERM)
            refuses_connections(server)
            second.close()
            # Nobody can connect to let it go; its reader going away ends what it held.
        assert server.ended()[0] == 0


def test_a_stream_that_is_done_in_time_is_whole():
    """The process waits for it, then ends."""
    prepare = HELD + (
        "\nfrom headrace_server.ending import Ending\n"
        "plain_finish = Ending.finish\n"
        "async def finish(self, grace):\n"
        "    go_on.set()\n"
        "    await plain_finish(self, grace)\n"
        "Ending.finish = finish\n"
    )
    with serving("fake:Hello", *GRACE, prepare=prepare) as server, server.client() as client:
        server.wait_until_ready()
        with client.stream("GET", "/held") as stream:
            rest = after_the_end_was_asked_for(server, stream)
        assert rest == ['data: "last"', "data: [DONE]"]
        assert server.ended()[0] == 0


def test_a_stream_that_takes_too_long_ends_with_an_error():
    """An event, and the end of the body: a client takes a cut stream for a whole one."""
    with (
        serving("fake:Hello", "--shutdown-grace", "0", prepare=HELD) as server,
        server.client() as client,
    ):
        server.wait_until_ready()
        with client.stream("GET", "/held") as stream:
            rest = after_the_end_was_asked_for(server, stream)
        (last,) = rest
        assert '"code":"server_ending"' in last
        code, error = server.ended()
        assert code == 0
        assert '"outcome":"server_ending"' in error


def test_what_has_no_answer_yet_gets_a_status():
    """With when to come again."""
    with (
        serving("fake:Hello", "--shutdown-grace", "0", prepare=HELD) as server,
        server.client() as client,
    ):
        server.wait_until_ready()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(client.get("/silent")))
        asking.start()
        with server.client() as other:
            assert other.get("/asked").status_code == 200
        server.send(signal.SIGTERM)
        asking.join(60)
        (answer,) = answers
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"]["code"] == "server_ending"


def test_what_would_never_end_does_not_wait_for_the_grace():
    """Streams of what happens at the server."""
    with serving("fake:Hello", *GRACE, prepare=HELD) as server, server.client() as client:
        server.wait_until_ready()
        with client.stream("GET", "/endless") as stream:
            assert "server_ending" in "".join(after_the_end_was_asked_for(server, stream))
        assert server.ended()[0] == 0


def test_a_second_interrupt_ends_it_at_once():
    """Whatever is under way."""
    with serving("fake:Hello", *GRACE, prepare=HELD) as server, server.client() as client:
        server.wait_until_ready()
        with client.stream("GET", "/held") as stream:
            lines = stream.iter_lines()  # kept: without it the stream would be closed
            assert next(lines) == 'data: "first"'
            server.send(signal.SIGINT)
            refuses_connections(server)
            server.send(signal.SIGINT)
            code, error = server.ended()
        assert code == 130
        assert "headrace: interrupted" in error


def test_an_interrupt_while_the_model_is_loaded_ends_the_load():
    """As that of any other command."""
    with serving("fake:Hello#load_delay=30") as server, server.client() as client:
        assert client.get("/health").json()["status"] == "loading"
        server.send(signal.SIGINT)
        code, error = server.ended()
    assert code == 130
    assert "headrace: interrupted" in error
    assert "Traceback" not in error


def test_a_request_that_comes_while_the_server_ends_is_refused():
    """Over a connection that was there before."""
    inside, leave = threading.Event(), anyio.Event()

    async def held(exchange) -> None:
        async def events():
            yield event("first")
            inside.set()
            await leave.wait()

        await exchange.stream(events())

    app = create_app("fake:")
    app.router.routes.insert(0, Route("/held", Answering(app.state.server, held)))
    with Listening(app) as listening, listening.client() as client:
        with client.stream("GET", "/held") as stream:
            assert inside.wait(60)
            begun, tasks = threading.Event(), []

            async def finish() -> None:
                ending = asyncio.ensure_future(listening.state.ending.finish(60))
                tasks.append(ending)  # so that it is not collected
                await asyncio.sleep(0)
                begun.set()

            listening.start(finish)
            assert begun.wait(60)
            with listening.client() as other:
                refused = other.get("/held")
            assert len(listening.state.ending) == 1
            listening.call(leave.set)
            stream.read()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
