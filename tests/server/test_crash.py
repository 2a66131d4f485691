"""A model that dies gives errors to its streams and comes back for those who ask next."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from headrace import EngineParams, ModelParams
from headrace_server import ModelSpec
from headrace_server.models.place import STEADY, Place
from tests.server.asking import CHAT, HELLO, answer, chat, events, until
from tests.server.test_registry import wait_for

LONG = "fake:" + "word " * 400


def isolated(reference, **engine):
    """A model in a process of its own."""
    return ModelSpec(
        name="m",
        reference=reference,
        params=ModelParams(isolation="process"),
        engine=EngineParams(**engine),
    )


def served(server):
    """The loaded model of a server of one."""
    return server.state.registry.place("m").served


def kill(server):
    """End the model's process as the system does when memory is short."""
    os.kill(served(server).model.client.worker.pid, signal.SIGKILL)


def test_a_process_that_dies_gives_its_streams_an_error_and_comes_back(serve):
    """All streams end with an error event; the next request is answered by a new process."""
    server = serve([isolated(LONG + "#delay=0.05", n_sequences=4)])
    ends, begun = [], threading.Barrier(4)

    def stream():
        body = {"messages": HELLO, "stream": True}
        with server.client() as client, client.stream("POST", CHAT, json=body) as response:
            lines = response.iter_lines()
            next(line for line in lines if "content" in line)
            begun.wait(20)
            ends.append([line for line in lines if line.startswith("data: ")][-1])

    threads = [threading.Thread(target=stream) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(20)
    before = served(server)
    kill(server)
    for thread in threads:
        thread.join(20)
    assert len(ends) == 3
    assert all('"model_crashed"' in end for end in ends)
    with server.client() as client:
        assert answer(client, max_tokens=1)["choices"][0]["finish_reason"] == "length"
    assert served(server) is not before
    assert server.state.registry.place("m").died == 1


def test_who_waits_in_the_queue_is_answered_by_the_next_process(serve):
    """The queue moves to the model that is loaded again."""
    server = serve([isolated(LONG + "#delay=0.05", n_sequences=1)])
    found = []

    def ask():
        with server.client() as client:
            found.append(chat(client, max_tokens=1))

    body = {"messages": HELLO, "stream": True}
    with server.client() as client, client.stream("POST", CHAT, json=body) as response:
        lines = response.iter_lines()
        next(line for line in lines if "content" in line)
        queued = threading.Thread(target=ask)
        queued.start()
        admission = served(server).admission
        until(lambda: admission.queued)
        kill(server)
        assert any('"model_crashed"' in line for line in lines)
    queued.join(20)
    assert found[0].status_code == 200, found[0].text


def test_a_process_that_dies_unused_is_replaced_before_the_next_request_fails(serve):
    """Nobody was told an error."""
    server = serve([isolated("fake:Hello")])
    with server.client() as client:
        answer(client)
        model = served(server)
        until(lambda: not model.users)  # a request is over a moment after its answer
        kill(server)
        model.used_at -= 60  # nobody has asked for a while
        assert answer(client)["choices"][0]["message"]["content"] == "Hello"
    assert served(server) is not model


def test_several_answers_of_a_process_that_dies_are_one_error(serve):
    """Their sessions are gone with it; the next request is answered."""
    server = serve([isolated(LONG + "#delay=0.05", n_sequences=4)])
    body = {"messages": HELLO, "stream": True, "n": 3}
    with server.client() as client:
        with client.stream("POST", CHAT, json=body) as response:
            lines = response.iter_lines()
            next(line for line in lines if '"content":"' in line)
            kill(server)
            rest = [line for line in lines if line.startswith("data: ")]
        assert '"model_crashed"' in rest[-1]
        assert sum('"error"' in line for line in rest) == 1
        assert answer(client, max_tokens=1)["choices"][0]["finish_reason"] == "length"


def test_a_poisoned_context_is_thrown_away(serve):
    """Its request fails; the next one has a model whose context is whole."""
    spec = ModelSpec(name="m", reference="fake:a b c d e f g#fault=poisoned&fault_at=3")
    server = serve([spec])
    with server.client() as client:
        failed = chat(client)
        assert failed.status_code == 500
        assert failed.json()["error"]["code"] == "decode_failed"
        assert answer(client, max_tokens=1)["choices"][0]["message"]["content"]
        # The same once more, after tokens of a stream have been sent.
        found = events(chat(client, stream=True))
        assert found[-1]["error"]["code"] == "decode_failed"
        assert answer(client, max_tokens=1)["choices"][0]["message"]["content"]
    assert server.state.registry.place("m").died == 2


def test_a_failed_step_of_a_usable_context_is_no_death(serve):
    """The model stays."""
    server = serve([ModelSpec(name="m", reference="fake:a b c#fault=failed&fault_at=2")])
    with server.client() as client:
        assert chat(client).status_code == 500
        model = served(server)
        assert answer(client)["choices"][0]["message"]["content"] == "a b c"
    assert served(server) is model


@pytest.mark.parametrize("fault", ["segfault", "exit"])
def test_a_load_that_kills_its_process_is_a_failed_load(serve, fault):
    """It is told with a status and when to come again; health knows."""
    server = serve([isolated(f"fake:#load_fault={fault}")])
    with server.client() as client:
        failed = chat(client)
        assert failed.status_code == 503
        assert failed.json()["error"]["code"] == "model_crashed"
        assert int(failed.headers["retry-after"]) >= 1
        health = client.get("/health")
        assert health.status_code == 503
        assert health.json() == {"status": "failed", "models": {"m": "failed"}}
    wait_for(server, "m", "failed")


class Living:
    """A model, as far as its age is concerned.

    Args:
        began: When it was loaded.
    """

    def __init__(self, began) -> None:
        self.began = began


def test_deaths_one_after_the_other_make_the_wait_longer():
    """Up to a cap; a model that lived long enough has made up for it."""
    place = Place(ModelSpec(name="m", reference="fake:"))
    delays = [place.note_death(Living(10.0), 11.0) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert place.note_death(Living(0.0), STEADY) == 0.5
