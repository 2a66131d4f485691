"""What OpenTelemetry is told of requests, if it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headrace.errors import UsageError
from headrace_server import create_app
from tests.server.asking import answer, chat, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def told():
    """What the SDK was told: spans, and metrics by their names."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel has the API alone")
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    return spans, reader


def points(reader):
    """The points of all metrics by their names."""
    found = {}
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                found[metric.name] = list(metric.data.data_points)
    return found


def test_a_request_is_a_span_of_its_clients_trace(told, serve):
    """With tokens, the reason of its end and how it went; no text."""
    spans, reader = told
    spans.clear()
    server = serve({"m": "fake:secret answer"}, tracing=True)
    with server.client(headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}) as client:
        usage = answer(client, model="m")["usage"]
        chat(client, model="m", n=0)
        client.get("/health")
    until(lambda: len(spans.get_finished_spans()) >= 2)  # each is told after its answer
    good, bad = spans.get_finished_spans()
    assert good.name == "chat m"
    assert format(good.context.trace_id, "032x") == TRACE
    assert format(good.parent.span_id, "016x") == SPAN
    assert good.attributes["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert good.attributes["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    assert good.attributes["gen_ai.response.finish_reasons"] == ("eog",)
    assert good.attributes["http.response.status_code"] == 200
    assert good.start_time < good.end_time
    assert good.status.is_ok is not False
    assert bad.status.status_code.name == "ERROR"
    assert bad.attributes["error.type"] == "invalid_value"
    assert "secret" not in good.to_json() + bad.to_json()
    found = points(reader)
    for name in (
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
    ):
        assert any(each.attributes["gen_ai.request.model"] == "m" for each in found[name])
    tokens = {
        each.attributes["gen_ai.token.type"]: each.sum
        for each in found["gen_ai.client.token.usage"]
    }
    assert tokens == {"input": usage["prompt_tokens"], "output": usage["completion_tokens"]}


def test_nothing_of_it_is_imported_unless_asked_for():
    """A server without tracing starts as fast, installed or not."""
    code = (
        "import sys; from headrace_server import create_app; create_app('fake:'); "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_asked_for_and_not_installed_is_told(monkeypatch):
    """With what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(UsageError, match=r"headrace-server\[otel\]"):
        create_app("fake:", tracing=True)
