"""Requests of all kinds for as long as asked: nothing grows, every stream ends with a reason.

``HEADRACE_SOAK_SECONDS`` says how long: 3600 in its own environment, 20 by default.
"""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import os
import random
import sys
import threading
import time
from collections import Counter

import pytest

from headrace import EngineParams
from headrace_server import ModelSpec
from tests.server.conftest import serve  # noqa: F401

SECONDS = float(os.environ.get("HEADRACE_SOAK_SECONDS", "20"))
CLIENTS = 12
PATIENCE = 60
MOST_GROWTH = 16.0
"""MiB that the process may have more in the end than after a fifth of the time."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident_mib():
    """Memory of this process."""
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]) / 1024


def body(chance):
    """The path and the body of a request of some kind."""
    words = " ".join(chance.choice(("race", "weir", "mill", "gate")) for _ in range(30))
    prompt = words[: chance.randrange(1, len(words))]
    stream = chance.random() < 0.6
    kind = chance.randrange(6)
    if kind == 0:
        messages = [{"role": "user", "content": prompt}]
        return "/v1/chat/completions", {"messages": messages, "stream": stream, "max_tokens": 60}
    if kind == 1:
        return "/v1/completions", {"prompt": prompt, "stream": stream, "max_tokens": 60, "n": 2}
    if kind == 2:
        return "/completion", {"prompt": "x" * 100_000}  # too long: a 400
    if kind == 3:
        return "/embedding", {"content": [prompt, "another"]}
    if kind == 4:
        return "/completion", {"prompt": [prompt, words], "stream": stream, "n_predict": 30}
    return "/completion", {"prompt": prompt, "stream": stream, "ignore_eos": True, "n_predict": 300}


def ask(port, chance):
    """One request: its outcome. One in five goes away at some time."""
    path, asked = body(chance)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", path, json.dumps(asked), {"Content-Type": "application/json"})
        if chance.random() < 0.1:
            return "left at once"
        answer = connection.getresponse()
        if chance.random() < 0.1:
            answer.read(chance.randrange(1, 2000))
            return "left"
        data = answer.read()
        if answer.status != 200:
            assert answer.status in (400, 429), data
            assert b'"message"' in data
        elif asked.get("stream"):
            ends = (b'"stop":true', b"[DONE]", b'"error"')
            assert any(end in data for end in ends), data[-300:]
        return answer.status


def test_an_hour_of_mixed_load_grows_nothing(serve, record_property):  # noqa: F811
    """Memory, threads and tasks are as they were; the seats are free."""
    spec = ModelSpec(
        name="m",
        reference="fake:#seed=4&mean_length=80",
        engine=EngineParams(n_ctx=16384, n_sequences=6),
    )
    server = serve(spec, max_queue=8)
    until = time.monotonic() + SECONDS
    settled = time.monotonic() + SECONDS / 5
    outcomes: Counter = Counter()
    errors: list[BaseException] = []

    def work(seed):
        chance = random.Random(seed)
        try:
            while time.monotonic() < until and not errors:
                outcomes[ask(server.port, chance)] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    threads[0].join(max(0.0, settled - time.monotonic()))
    gc.collect()
    before = resident_mib()
    for thread in threads:
        thread.join()
    assert not errors, errors
    with server.client() as client:
        client.get("/health")
    gc.collect()
    growth = resident_mib() - before
    record_property("growth_mib", growth)
    record_property("requests", sum(outcomes.values()))
    print(f"{sum(outcomes.values())} requests, {growth:+.1f} MiB: {dict(outcomes)}")
    served = server.state.registry.place(None).served
    assert (served.admission.taken, served.admission.queued) == (0, 0)
    assert outcomes[200] > 0
    assert outcomes[400] > 0
    assert growth < MOST_GROWTH
