"""NUMA: one strategy for the whole process, set by the first model that asks for one."""

from __future__ import annotations

import threading

from headrace.errors import ParamsError
from headrace_llamacpp._native import lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check

_STRATEGIES = {
    "distribute": lib.GGML_NUMA_STRATEGY_DISTRIBUTE,
    "isolate": lib.GGML_NUMA_STRATEGY_ISOLATE,
    "numactl": lib.GGML_NUMA_STRATEGY_NUMACTL,
}
_chosen: str | None = None
_choosing = threading.Lock()


def choose(strategy: str | None) -> None:
    """Set the strategy, or do nothing if it is set or none is asked for.

    Raises:
        ParamsError: If another one was set before: llama.cpp keeps its first for good.
    """
    global _chosen
    if strategy is None:
        return
    with _choosing:
        if _chosen is None:
            report = new_report()
            lib.hr_numa(_STRATEGIES[strategy], report)
            check(report, Operation.MACHINE)
            _chosen = strategy
    if _chosen != strategy:
        raise ParamsError(
            f"ModelParams.numa is {strategy!r}, but this process has used {_chosen!r} since an "
            "earlier model was loaded",
            hint="It holds for a whole process: give the same value, or none.",
            backend="llamacpp",
        )
