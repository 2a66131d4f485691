"""A sampler of one generation: the owner of an ``hr_sampler``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.params import SamplingParams
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check


class LlamaSampler:
    """Chooses tokens inside a step; holds no reference to the model or the context.

    Args:
        model: The model's ``hr_model *``.
        params: What was asked for.
        seed: The seed to use.
        recent: End of the history, oldest first.
        ban_eog: Never choose a token that ends the generation.
    """

    __slots__ = ("__weakref__", "pointer")

    def __init__(
        self, model: Any, params: SamplingParams, *, seed: int, recent: Sequence[int], ban_eog: bool
    ) -> None:
        settings = ffi.new(
            "hr_sampling *",
            {
                "temperature": _float(params.temperature),
                "top_k": params.top_k,
                "top_p": params.top_p,
                "min_p": params.min_p,
                "repeat_penalty": _float(params.repeat_penalty),
                "repeat_last_n": params.repeat_last_n,
                "seed": seed,
                "ban_eog": ban_eog,
            },
        )
        history = ffi.new("int32_t[]", list(recent))
        made = ffi.new("hr_sampler **")
        report = new_report()
        lib.hr_sampler_new(model, settings, history, len(recent), made, report)
        # Memory and nothing else, so dropping one without closing it is no leak to warn of.
        self.pointer = ffi.gc(made[0], lib.hr_sampler_free)
        check(report, Operation.SAMPLER)

    def close(self) -> None:
        """Free what it holds. Closing again does nothing."""
        pointer, self.pointer = self.pointer, ffi.NULL
        if pointer != ffi.NULL:
            ffi.release(pointer)


_LARGEST_FLOAT = 3.4028234663852886e38


def _float(value: float) -> float:
    """The value, within the range of a C float: beyond it a draw is as even as it gets."""
    return min(float(value), _LARGEST_FLOAT)
