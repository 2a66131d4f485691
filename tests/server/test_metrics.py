"""What is counted of a server, read as Prometheus reads it."""

from __future__ import annotations

import threading

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace import EngineParams
from headrace_server import ModelSpec
from headrace_server.observation.histogram import Histogram
from tests.server.asking import CHAT, HELLO, answer, chat, until
from tests.server.test_registry import wait_for


class Read:
    """Metrics as Prometheus' own parser reads them.

    Args:
        client: Of the server.
        over: Requests that have to be counted; one is after its answer.
    """

    def __init__(self, client, over=0) -> None:
        until(lambda: self._read(client) >= over)

    def _read(self, client):
        response = client.get("/metrics")
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        self.families = {each.name: each for each in text_string_to_metric_families(response.text)}
        self.samples = {
            (each.name, frozenset(each.labels.items())): each.value
            for family in self.families.values()
            for each in family.samples
        }
        return sum(
            value for (name, _), value in self.samples.items() if name == "headrace_requests_total"
        )

    def __call__(self, name, **labels):
        """The value of a sample."""
        return self.samples[name, frozenset(labels.items())]


@pytest.fixture
def server(serve):
    """Two models, one of them with two seats and a queue of one."""
    specs = [
        ModelSpec(name="m", reference="fake:a b c d", engine=EngineParams(n_sequences=2)),
        ModelSpec(name="other", reference="fake:x"),
    ]
    return serve(specs, metrics=True, max_queue=1)


def test_without_the_setting_there_are_none(serve):
    """Nothing tells what users do unless it is asked for."""
    with serve().client() as client:
        assert client.get("/metrics").status_code == 404


def test_requests_and_tokens_are_counted_by_model(server):
    """As in the answers' own usage."""
    with server.client() as client:
        usages = [answer(client, model="m")["usage"] for _ in range(3)]
        read = Read(client, over=3)
    assert read("headrace_requests_total", model="m", outcome="ok") == 3
    prompt = sum(each["prompt_tokens"] for each in usages)
    cached = sum(each["prompt_tokens_details"]["cached_tokens"] for each in usages)
    written = sum(each["completion_tokens"] for each in usages)
    assert cached > 0
    assert read("headrace_prompt_tokens_total", model="m") == prompt
    assert read("headrace_cached_tokens_total", model="m") == cached
    assert read("headrace_completion_tokens_total", model="m") == written
    assert read("headrace_completion_tokens_total", model="other") == 0
    assert read("llamacpp:tokens_predicted_total", model="m") == written
    assert read("llamacpp:prompt_tokens_total", model="m") == prompt - cached
    assert read("llamacpp:prompt_tokens_cached_total", model="m") == cached
    longest = max(each["total_tokens"] for each in usages)
    assert read("llamacpp:n_tokens_max", model="m") == longest


@pytest.mark.parametrize("stream", [False, True])
def test_times_are_counted_once_a_request_and_once_a_token(server, stream):
    """The queue, the first token, the steps from token to token, the whole."""
    with server.client() as client:
        usage = answer(client, model="m")["usage"]
        chat(client, model="m", stream=stream)
        read = Read(client, over=2)
    labels = {"model": "m", "outcome": "ok"}
    for name in ("queue", "first_token", "request"):
        assert read(f"headrace_{name}_seconds_count", **labels) == 2
        assert read(f"headrace_{name}_seconds_bucket", **labels, le="+Inf") == 2
    # What arrives together counts as often as it has tokens; the first of all begins the clock.
    between = read("headrace_between_tokens_seconds_count", **labels)
    assert 0 < between < 2 * usage["completion_tokens"]
    whole = read("headrace_request_seconds_sum", **labels)
    assert 0 < read("headrace_first_token_seconds_sum", **labels) <= whole


def test_outcomes_have_labels_of_their_own(server):
    """Errors by their codes; a name that there is not becomes no label."""
    with server.client() as client:
        chat(client, model="m", max_tokens=-1)
        chat(client, model="m", n=3)
        chat(client, model="nobody's secret")
        read = Read(client, over=1)
    outcomes = {
        dict(labels)["outcome"]: value
        for (name, labels), value in read.samples.items()
        if name == "headrace_requests_total"
    }
    assert outcomes["invalid_value"] >= 1
    assert "ok" not in outcomes
    assert not any("secret" in str(labels) for _, labels in read.samples)


def test_what_goes_on_is_seen(serve):
    """Those at work, those that wait, the memory they take."""
    spec = ModelSpec(
        name="m", reference="fake:" + "w " * 500 + "#delay=0.05", engine=EngineParams(n_sequences=1)
    )
    server = serve([spec], metrics=True)
    with server.client() as client:
        before = Read(client)
        assert before("headrace_model_state", model="m", state="unloaded") == 1
        body = {"messages": HELLO, "stream": True}
        with client.stream("POST", CHAT, json=body) as response:
            lines = response.iter_lines()
            next(line for line in lines if "content" in line)
            waiting = threading.Thread(target=_asks_in_vain, args=(server,))
            waiting.start()
            admission = server.state.registry.place("m").served.admission
            until(lambda: admission.queued)
            with server.client() as second:
                during = Read(second)
            assert during("headrace_requests_running", model="m") == 1
            assert during("headrace_requests_queued", model="m") == 1
            assert during("llamacpp:requests_processing", model="m") == 1
            assert during("llamacpp:requests_deferred", model="m") == 1
            assert during("headrace_seats", model="m") == 1
            assert during("headrace_model_state", model="m", state="loaded") == 1
            assert during("headrace_model_state", model="m", state="unloaded") == 0
            assert during("headrace_model_stalled", model="m") == 0
            assert 0 < during("headrace_kv_usage_ratio", model="m") <= 1
            assert during("headrace_kv_tokens", model="m") > 0
            assert during("headrace_memory_bytes", model="m", device="FAKE", kind="weights") > 0
            lines.close()
        waiting.join(20)
        until(lambda: not admission.taken)
        after = Read(client, over=2)
    assert after("headrace_requests_total", model="m", outcome="cancelled") == 1
    assert after("headrace_requests_running", model="m") == 0
    assert after("headrace_kept_sessions", model="m") == 1


def _asks_in_vain(server):
    with server.client() as client:
        chat(client, max_tokens=1)


def test_a_failed_load_is_seen(serve):
    """As a state."""
    server = serve({"m": "fake:#load_fault=format"}, metrics=True)
    with server.client() as client:
        chat(client)
        wait_for(server, "m", "failed")
        read = Read(client, over=1)
    assert read("headrace_model_state", model="m", state="failed") == 1
    assert read("headrace_requests_total", model="m", outcome="model_damaged") == 1


def test_a_model_that_does_not_tell_its_memory_delays_nobody(serve, monkeypatch):
    """The rest is shown."""
    server = serve("fake:a", metrics=True)
    monkeypatch.setattr("headrace_server.observation.metrics.PATIENCE", 0.0)
    with server.client() as client:
        answer(client)
        model = next(iter(server.state.registry.places.values())).served.model
        monkeypatch.setattr(model, "amemory_usage", anyio.sleep_forever)
        read = Read(client, over=1)
    assert any(name == "headrace_requests_total" for name, _ in read.samples)


def test_buckets_hold_what_is_at_most_as_large():
    """Bounds belong to the bucket below them; a merge is a sum."""
    one, other = Histogram((1.0, 2.0)), Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 7.0):
        one.add(value)
    other.add(2.0, 3)
    one.merge(other)
    assert one.cumulative() == [("1.0", 2), ("2.0", 6), ("+Inf", 7)]
    assert one.total == 16.0
    assert one.number == 7
