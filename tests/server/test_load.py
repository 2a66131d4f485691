"""Many clients at once, some of which go away or read slowly: nobody else notices."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import random
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from headrace import EngineParams
from headrace_fake import FakeBackend
from headrace_server import ModelSpec

EIGHT = EngineParams(n_ctx=65536, n_sequences=8)
PATIENCE = 30
"""Seconds after which a test that waits for an event has failed."""


class Eyes:
    """What a test sees of a server's seats: each request that ended, as it ends.

    Args:
        server: The server.
    """

    def __init__(self, server) -> None:
        self._state = server.state
        self._changed = threading.Condition()
        self.records = []
        noted = self._state.note

        def note(record, key):
            noted(record, key)
            if record.method == "GET":  # what asked whether it has started
                return
            with self._changed:
                self.records.append(record)
                self._changed.notify_all()

        self._state.note = note

    def wait(self, n) -> list:
        """The first requests that ended, as many as that."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.records) >= n, PATIENCE)
            return self.records[:n]

    def forget(self, n) -> None:
        """Pass over the first requests: each is noted a moment after its answer."""
        self.wait(n)
        with self._changed:
            del self.records[:n]

    @property
    def admission(self):
        """The queue and the seats of the one model."""
        return self._state.registry.place(None).served.admission


class Gate:
    """Steps of the fake that wait until a test lets them go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.opened.set()

    def __call__(self, step, rows) -> None:
        """What the fake calls in each step."""
        if not self.opened.is_set():
            self.entered.set()
            assert self.opened.wait(PATIENCE)


def raw(server, body, path="/completion", **options):
    """A connection by which a request was sent."""
    data = json.dumps(body).encode()
    connection = socket.socket()
    for option, value in options.items():
        connection.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
    connection.connect(("127.0.0.1", server.port))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + data)
    connection.settimeout(PATIENCE)
    return connection


def read_until(connection, mark):
    """Read until something has come."""
    data = b""
    while mark not in data:
        part = connection.recv(65536)
        assert part, data
        data += part


def spec(reference="fake:", *, engine=EIGHT, **options):
    """A model of the fake, with options that no reference can hold."""
    return ModelSpec(name="m", reference=reference, engine=engine, backend=FakeBackend(**options))


def post(server, body):
    """The status, headers and JSON of an answer, without what a client costs."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", "/completion", json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())


def complete(server, body):
    """A whole answer."""
    status, _, answer = post(server, body)
    assert status == 200, answer
    return answer


def test_ten_of_a_hundred_streams_are_cut_and_ninety_are_exact(serve):
    """Each of the others has the text that it has alone; the seats are free in the end."""
    server = serve(spec("fake:#seed=11"), max_queue=200)
    prompts = [f"Prompt number {number}" for number in range(100)]
    asked = {"temperature": 0, "n_predict": 60}
    alone = {prompt: complete(server, {**asked, "prompt": prompt})["content"] for prompt in prompts}
    assert len(set(alone.values())) > 50
    eyes = Eyes(server)
    chance = random.Random(5)
    cut = {prompt: chance.randrange(1, 3000) for prompt in chance.sample(prompts, 10)}

    def ask(prompt):
        connection = raw(server, {**asked, "prompt": prompt, "stream": True})
        with connection:
            if prompt in cut:
                left = cut[prompt]
                while left > 0 and (data := connection.recv(min(left, 4096))):
                    left -= len(data)
                return None
            return b"".join(iter(lambda: connection.recv(65536), b""))

    with ThreadPoolExecutor(32) as pool:
        answers = dict(zip(prompts, pool.map(ask, prompts), strict=True))
    eyes.wait(100)
    for prompt in prompts:
        if prompt not in cut:
            assert text_of(answers[prompt]) == alone[prompt]
    assert (eyes.admission.taken, eyes.admission.queued) == (0, 0)


def text_of(answer):
    """The text of a stream that came to its end."""
    lines = [line for line in answer.decode().splitlines() if line.startswith("data: ")]
    bodies = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert bodies[-1]["stop"] is True
    return "".join(body["content"] for body in bodies)


def test_a_slow_reader_holds_nobody(serve):
    """What it has not read waits in the server, and its sequence is free when all is written."""
    server = serve(spec("fake:#mean_length=0", engine=EngineParams(n_ctx=4096, n_sequences=1)))
    eyes = Eyes(server)
    asked = {"prompt": "Hi", "n_predict": 800, "stream": True}
    with raw(server, asked, SO_RCVBUF=4096) as slow:
        # The one sequence: whoever comes behind is answered only when it is free.
        behind = complete(server, {"prompt": "Next", "n_predict": 3})
        assert behind["tokens_predicted"] == 3
        assert (eyes.admission.taken, eyes.admission.queued) == (0, 0)
        answer = b"".join(iter(lambda: slow.recv(65536), b""))
    assert answer.count(b"data: ") > 100
    assert b'"tokens_predicted":800' in answer
    assert {record.outcome for record in eyes.wait(2)} == {"ok"}


def test_a_reader_that_reads_nothing_is_given_up(serve):
    """After ``write_timeout``; what waits for it is bounded, so the model stops meanwhile."""
    server = serve(
        spec("fake:#mean_length=0&n_ctx=400000", engine=EngineParams(n_ctx=400_000, n_sequences=1)),
        write_timeout=0.5,
    )
    eyes = Eyes(server)
    with raw(server, {"prompt": "Hi", "stream": True, "n_probs": 100}, SO_RCVBUF=4096):
        (record,) = eyes.wait(1)
    assert record.outcome == "cancelled"
    assert record.completion_tokens < 50000
    assert eyes.admission.taken == 0


def test_a_client_that_goes_away_in_the_queue_frees_its_place(serve):
    """Nobody else's answer is touched by it."""
    gate = Gate()
    server = serve(spec("fake:Hello there", engine=EngineParams(n_sequences=1), on_step=gate))
    eyes = Eyes(server)
    complete(server, {"prompt": "Warm up"})
    eyes.forget(1)
    gate.opened.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(complete, server, {"prompt": "First"})
        assert gate.entered.wait(PATIENCE)
        second = raw(server, {"prompt": "Second"})
        assert until(lambda: eyes.admission.queued == 1, eyes)
        second.close()
        (gone,) = eyes.wait(1)
        assert gone.outcome == "cancelled"
        assert (eyes.admission.taken, eyes.admission.queued) == (1, 0)
        gate.opened.set()
        assert first.result(PATIENCE)["content"] == "Hello there"


def until(condition, eyes):
    """Whether something becomes so; the loop of the server is what changes it."""
    waiting = threading.Event()
    for _ in range(PATIENCE * 100):
        if condition():
            return True
        waiting.wait(0.01)
    return False


@pytest.mark.parametrize("moment", ["prefill", "decode"])
def test_a_client_that_goes_away_frees_its_sequence(serve, moment):
    """In the prefill or while decoding: the others go on exactly, the next one gets the seat."""
    gate = Gate()
    server = serve(
        spec("fake:#seed=2", engine=EngineParams(n_ctx=8192, n_sequences=2), on_step=gate)
    )
    asked = {"temperature": 0, "n_predict": 200}
    eyes = Eyes(server)
    alone = complete(server, {**asked, "prompt": "Other"})["content"]
    eyes.forget(1)
    with ThreadPoolExecutor(1) as pool:
        if moment == "prefill":
            gate.opened.clear()
        going = raw(server, {"prompt": "Going " * 200, "stream": True, "ignore_eos": True})
        if moment == "prefill":
            assert gate.entered.wait(PATIENCE)
        else:
            read_until(going, b"data: ")
        other = pool.submit(complete, server, {**asked, "prompt": "Other"})
        going.close()
        if moment == "prefill":
            gate.opened.set()
        outcomes = Counter(record.outcome for record in eyes.wait(2))
        assert other.result(PATIENCE)["content"] == alone
    assert outcomes == {"cancelled": 1, "ok": 1}
    assert (eyes.admission.taken, eyes.admission.queued) == (0, 0)
    again = complete(server, {"prompt": "Going " * 200 + "on", "n_predict": 1})
    assert again["timings"]["cache_n"] > 0 or moment == "prefill"


def test_two_hundred_clients_on_a_queue_of_sixteen(serve):
    """As many are refused as there is no place for, with the time after which to come again."""
    gate = Gate()
    server = serve(spec("fake:Hello", on_step=gate), max_queue=16)
    eyes = Eyes(server)
    complete(server, {"prompt": "Warm up"})
    eyes.forget(1)
    gate.opened.clear()

    def ask(number):
        return post(server, {"prompt": f"Number {number}"})

    with ThreadPoolExecutor(200) as pool:
        asked = [pool.submit(ask, number) for number in range(200)]
        eyes.wait(200 - 8 - 16)  # all that are refused
        gate.opened.set()
        answers = [each.result(PATIENCE) for each in asked]
    assert Counter(status for status, _, _ in answers) == {200: 24, 429: 176}
    for status, headers, body in answers:
        if status == 429:
            assert int(headers["retry-after"]) >= 1
            assert body["error"]["code"] == 429
        else:
            assert body["content"] == "Hello"


def test_memory_is_flat_over_some_hundred_requests(serve):
    """Nothing is kept of a request but its session, of which there is a bounded number."""
    server = serve(spec("fake:Hello there"))
    eyes = Eyes(server)

    def batch(start):
        for number in range(start, start + 100):
            complete(server, {"prompt": f"Number {number}"})
        eyes.wait(start + 100)
        eyes.records[:] = [None] * len(eyes.records)
        gc.collect()
        return Counter(
            type(each).__name__
            for each in gc.get_objects()
            if str(type(each).__module__).split(".")[0]
            in ("headrace", "headrace_server", "starlette")
        )

    batch(0)
    first, second = batch(100), batch(200)
    grown = {name: second[name] - first[name] for name in second if second[name] > first[name]}
    assert not {name: number for name, number in grown.items() if number > 10}, grown


def test_streams_end_with_a_reason_or_an_error(serve):
    """Also when the model fails in the middle of several."""
    server = serve(spec("fake:#mean_length=0&fault=failed&fault_at=40"))
    with ThreadPoolExecutor(4) as pool, contextlib.ExitStack() as entered:
        connections = [
            entered.enter_context(
                raw(server, {"prompt": f"P {n}", "stream": True, "n_predict": 99})
            )
            for n in range(4)
        ]
        answers = list(pool.map(lambda c: b"".join(iter(lambda: c.recv(65536), b"")), connections))
    failed = [answer for answer in answers if b'"error"' in answer]
    assert failed
    for answer in answers:
        assert b'"stop":true' in answer or b'"error"' in answer
