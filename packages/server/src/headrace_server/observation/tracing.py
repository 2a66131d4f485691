"""``Tracing``: a span and GenAI's metrics for each request, where OpenTelemetry is installed.

Nothing of it is imported unless the settings ask for it. What is done with spans and metrics, and
where they go, is the SDK's and its environment's (``OTEL_EXPORTER_OTLP_ENDPOINT`` and others).
Names are those of the semantic conventions for generative AI,
https://opentelemetry.io/docs/specs/semconv/gen-ai/.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors import UsageError
from headrace_server._version import __version__

if TYPE_CHECKING:
    from headrace_server.http.record import Record

OPERATIONS = {
    "/chat/completions": "chat",
    "/messages": "chat",
    "/responses": "chat",
    "/completions": "text_completion",
    "/completion": "text_completion",
    "/infill": "text_completion",
    "/embeddings": "embeddings",
    "/embedding": "embeddings",
}
"""What GenAI calls the operation of an endpoint, by the end of its path."""
SYSTEM = "headrace"


class Tracing:
    """Tells OpenTelemetry of requests.

    Raises:
        UsageError: If it is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import metrics, propagate, trace
        except ImportError as error:
            raise UsageError(
                "tracing needs OpenTelemetry, which is not installed",
                hint="pip install 'headrace-server[otel]' opentelemetry-sdk, or leave tracing out.",
            ) from error
        self._trace, self._propagate = trace, propagate
        self._tracer = trace.get_tracer(SYSTEM, __version__)
        meter = metrics.get_meter(SYSTEM, __version__)
        self._duration = meter.create_histogram(
            "gen_ai.server.request.duration", "s", "From a request's arrival to its end."
        )
        self._first = meter.create_histogram(
            "gen_ai.server.time_to_first_token", "s", "From its arrival to its first token."
        )
        self._each = meter.create_histogram(
            "gen_ai.server.time_per_output_token", "s", "From token to token, after the first one."
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens of prompts and of answers."
        )

    def note(self, record: Record) -> None:
        """Tell of a request that is over, as a part of the trace that its client has named."""
        operation = next(
            (name for end, name in OPERATIONS.items() if record.path.endswith(end)), None
        )
        if operation is None:
            return
        common: dict[str, Any] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": SYSTEM,
            "gen_ai.request.model": record.model or "",
        }
        failed = record.outcome not in ("ok", None)
        if failed:
            common["error.type"] = record.outcome
        self._note_span(record, operation, common, failed=failed)
        self._duration.record(record.seconds, common)
        if record.first_token_seconds is not None:
            self._first.record(record.first_token_seconds, common)
        between = record.between_tokens
        if between.number:
            self._each.record(between.total / between.number, common)
        for kind, tokens in (("input", record.prompt_tokens), ("output", record.completion_tokens)):
            if tokens:
                self._tokens.record(tokens, {**common, "gen_ai.token.type": kind})

    def _note_span(
        self,
        record: Record,
        operation: str,
        common: Mapping[str, Any],
        *,
        failed: bool,
    ) -> None:
        end = time.time_ns()
        span = self._tracer.start_span(
            f"{operation} {record.model}" if record.model else operation,
            context=self._propagate.extract({"traceparent": record.traceparent or ""}),
            kind=self._trace.SpanKind.SERVER,
            start_time=end - int(record.seconds * 1e9),
            attributes={
                **common,
                "gen_ai.usage.input_tokens": record.prompt_tokens,
                "gen_ai.usage.output_tokens": record.completion_tokens,
                "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
                "gen_ai.response.finish_reasons": [record.stop_reason] * bool(record.stop_reason),
                "http.request.method": record.method,
                "http.response.status_code": record.status or 0,
                "url.path": record.path,
                "headrace.request_id": record.request_id,
                "headrace.queue_seconds": record.queue_seconds,
                "headrace.streamed": record.streamed,
            },
        )
        if failed:
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, record.outcome))
        span.end(end)
