"""``Metrics``: what requests came to, and how the models are, in Prometheus' text.

Requests are counted when they are over; what goes on at the moment is asked for when somebody
looks. Labels are names of models, outcomes and states: nothing that a client writes.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import anyio
import attrs
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import headrace
from headrace.errors import HeadraceError
from headrace_server.observation.histogram import Histogram

if TYPE_CHECKING:
    from headrace_server.http.record import Record
    from headrace_server.models.place import Place
    from headrace_server.models.registry import Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("unloaded", "loading", "loaded", "sleeping", "failed")
PATIENCE = 1.0
"""Seconds that a model may take to tell its memory; after that the last numbers are shown."""
HISTOGRAMS = {
    "headrace_queue_seconds": "From a request's place in the queue to its seat.",
    "headrace_first_token_seconds": "From a request's arrival to its first token.",
    "headrace_between_tokens_seconds": "From one token of an answer to the next.",
    "headrace_request_seconds": "From a request's arrival to its end.",
}


@attrs.define
class Totals:
    """Sums over the requests for one model."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    prefill: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    longest: int = 0
    """Most tokens of one request, prompt and answer together."""


class Metrics:
    """What is counted of one server.

    Args:
        registry: Its models.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._totals: dict[str, Totals] = {name: Totals() for name in registry.places}
        self._requests: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._times: dict[str, defaultdict[tuple[str, str], Histogram]] = {
            name: defaultdict(Histogram) for name in HISTOGRAMS
        }
        self._memory: dict[str, headrace.MemoryUsage] = {}

    def note(self, record: Record) -> None:
        """Count a request that is over, if it was one for a model."""
        totals = self._totals.get(record.model or "")
        if totals is None or record.model is None:
            return
        labels = (record.model, record.outcome or "ok")
        self._requests[labels] += 1
        self._time("headrace_request_seconds", labels, record.seconds)
        self._time("headrace_queue_seconds", labels, record.queue_seconds)
        if record.first_token_seconds is not None:
            self._time("headrace_first_token_seconds", labels, record.first_token_seconds)
        if record.between_tokens.number:
            self._times["headrace_between_tokens_seconds"][labels].merge(record.between_tokens)
        totals.prompt += record.prompt_tokens
        totals.cached += record.cached_tokens
        totals.completion += record.completion_tokens
        totals.prefill += record.prefill_tokens
        totals.prefill_seconds += record.prefill_seconds
        totals.decode_seconds += record.decode_seconds
        totals.longest = max(totals.longest, record.prompt_tokens + record.completion_tokens)

    def _time(self, name: str, labels: tuple[str, str], seconds: float) -> None:
        self._times[name][labels].add(seconds)

    async def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        async with anyio.create_task_group() as tasks:
            for place in self._registry.places.values():
                tasks.start_soon(self._look_at_memory, place)
        registry = CollectorRegistry()
        registry.register(_Collected([*self._counted(), *self._seen(), *self._as_llama_server()]))
        return generate_latest(registry)

    async def _look_at_memory(self, place: Place) -> None:
        name, served = place.spec.name, place.served
        if served is None:
            self._memory.pop(name, None)
            return
        with anyio.move_on_after(PATIENCE), contextlib.suppress(HeadraceError):
            self._memory[name] = await served.model.amemory_usage()

    # -- what was counted ---------------------------------------------------

    def _counted(self) -> Iterator[Metric]:
        for name, about in HISTOGRAMS.items():
            family = HistogramMetricFamily(name, about, labels=("model", "outcome"))
            for labels, found in self._times[name].items():
                family.add_metric(labels, buckets=found.cumulative(), sum_value=found.total)
            yield family
        requests = CounterMetricFamily(
            "headrace_requests", "Requests that are over.", labels=("model", "outcome")
        )
        for labels, number in self._requests.items():
            requests.add_metric(labels, number)
        yield requests
        for name, about, field in (
            ("headrace_prompt_tokens", "Tokens of prompts, cached ones included.", "prompt"),
            ("headrace_cached_tokens", "Tokens of prompts that were in memory.", "cached"),
            ("headrace_completion_tokens", "Tokens of answers.", "completion"),
        ):
            yield self._counter(name, about, field)
        deaths = CounterMetricFamily(
            "headrace_model_deaths", "Times that a model has died.", labels=("model",)
        )
        for name, place in self._registry.places.items():
            deaths.add_metric((name,), place.died)
        yield deaths

    def _counter(self, name: str, about: str, field: str) -> Metric:
        family = CounterMetricFamily(name, about, labels=("model",))
        for model, totals in self._totals.items():
            family.add_metric((model,), getattr(totals, field))
        return family

    # -- what goes on -------------------------------------------------------

    def _seen(self) -> Iterator[Metric]:
        places = self._registry.places.items()
        state = GaugeMetricFamily(
            "headrace_model_state", "1 for the state a model is in.", labels=("model", "state")
        )
        stalled = GaugeMetricFamily(
            "headrace_model_stalled", "1 while a model makes no progress.", labels=("model",)
        )
        for name, place in places:
            for each in STATES:
                state.add_metric((name, each), float(place.state == each))
            stalled.add_metric((name,), float(place.health == "stalled"))
        yield state
        yield stalled
        yield _gauge("headrace_requests_running", "Requests that have a seat.", self._running())
        yield _gauge("headrace_requests_queued", "Requests that wait for one.", self._queued())
        loaded = [(name, place.served) for name, place in places if place.served is not None]
        yield _gauge(
            "headrace_seats",
            "Sequences that can be at work at the same time.",
            [(name, served.admission.seats) for name, served in loaded],
        )
        yield _gauge(
            "headrace_kept_sessions",
            "Conversations that are kept for their next turn.",
            [(name, len(served.conversations)) for name, served in loaded],
        )
        memory = self._memory.items()
        yield _gauge(
            "headrace_kv_usage_ratio",
            "Share of the context's memory that is in use; above 1 where beginnings are shared.",
            [(name, _share(each)) for name, each in memory],
        )
        yield _gauge(
            "headrace_kv_tokens",
            "Tokens in the context's memory.",
            [(name, each.cells) for name, each in memory],
        )
        yield _gauge(
            "headrace_resident_sessions",
            "Sessions with something in the context's memory.",
            [(name, each.resident) for name, each in memory],
        )
        used = GaugeMetricFamily(
            "headrace_memory_bytes", "Memory in use.", labels=("model", "device", "kind")
        )
        for name, usage in memory:
            for device in usage.devices:
                for kind in ("weights", "cache", "compute"):
                    used.add_metric((name, device.device, kind), getattr(device, kind))
        yield used

    def _running(self) -> list[tuple[str, float]]:
        return [
            (name, 0 if place.served is None else place.served.admission.seated)
            for name, place in self._registry.places.items()
        ]

    def _queued(self) -> list[tuple[str, float]]:
        """Those that wait for a load wait as well."""
        return [
            (
                name,
                (0 if place.served is None else place.served.admission.queued)
                + (0 if place.load is None else place.load.waiting),
            )
            for name, place in self._registry.places.items()
        ]

    # -- in the words of llama-server ---------------------------------------

    def _as_llama_server(self) -> Iterator[Metric]:
        for name, about, field in (
            ("prompt_tokens", "Tokens of prompts that were computed.", "prefill"),
            ("prompt_tokens_cached", "Tokens of prompts that were in memory.", "cached"),
            ("prompt_seconds", "Seconds spent on prompts.", "prefill_seconds"),
            ("tokens_predicted", "Tokens of answers.", "completion"),
            ("tokens_predicted_seconds", "Seconds spent on answers.", "decode_seconds"),
        ):
            yield self._counter(f"llamacpp:{name}", about, field)
        totals = self._totals.items()
        yield _gauge(
            "llamacpp:n_tokens_max",
            "Tokens of the longest request, prompt and answer.",
            [(name, each.longest) for name, each in totals],
        )
        yield _gauge(
            "llamacpp:prompt_tokens_seconds",
            "Tokens of prompts a second, on average.",
            [(name, _rate(each.prefill, each.prefill_seconds)) for name, each in totals],
        )
        yield _gauge(
            "llamacpp:predicted_tokens_seconds",
            "Tokens of answers a second, on average.",
            [(name, _rate(each.completion, each.decode_seconds)) for name, each in totals],
        )
        yield _gauge("llamacpp:requests_processing", "Requests at work.", self._running())
        yield _gauge("llamacpp:requests_deferred", "Requests that wait.", self._queued())
        memory = self._memory.items()
        yield _gauge(
            "llamacpp:kv_cache_usage_ratio",
            "Share of the context's memory that is in use.",
            [(name, _share(each)) for name, each in memory],
        )
        yield _gauge(
            "llamacpp:kv_cache_tokens",
            "Tokens in the context's memory.",
            [(name, each.cells) for name, each in memory],
        )


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauge(name: str, about: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=("model",))
    for model, value in values:
        family.add_metric((model,), value)
    return family


def _share(usage: headrace.MemoryUsage) -> float:
    return usage.cells / usage.n_ctx if usage.n_ctx else 0.0


def _rate(tokens: int, seconds: float) -> float:
    return tokens / seconds if seconds else 0.0
