"""A sampler of one generation: the owner of an ``hr_sampler``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.params import SamplingParams
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check
from headrace_llamacpp.handles import Handle

_AS_THEY_ARE = (
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "min_keep",
    "xtc_probability",
    "xtc_threshold",
    "frequency_penalty",
    "presence_penalty",
    "repeat_penalty",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "adaptive_target",
    "adaptive_decay",
    "mirostat",
)
_UNBOUNDED = (
    "temperature",
    "dynatemp_range",
    "dynatemp_exponent",
    "top_n_sigma",
    "mirostat_tau",
    "mirostat_eta",
)
"""Numbers that may be larger than a C float holds."""


class LlamaSampler(Handle):
    """Chooses tokens inside a step; keeps the model's weights from being freed.

    Args:
        model: The owner of the model's ``hr_model *``.
        params: What was asked for.
        n_ctx: What a lookback of the whole context means, in tokens.
        seed: The seed to use.
        recent: End of the history, oldest first.
        ban_eog: Never choose a token that ends the generation.
    """

    __slots__ = ("n_top",)

    def __init__(
        self,
        model: Handle,
        params: SamplingParams,
        *,
        n_ctx: int,
        seed: int,
        recent: Sequence[int],
        ban_eog: bool,
    ) -> None:
        # Memory and nothing else, so dropping one without closing it is no leak to warn of.
        super().__init__(lib.hr_sampler_free)
        self.n_top = -1 if params.logprobs is None else params.logprobs
        """How many of the most likely tokens are wanted; −1: no log-probabilities at all."""
        settings, kept = _settings(params, n_ctx)
        settings.seed = seed
        settings.ban_eog = ban_eog
        history = ffi.new("int32_t[]", list(recent))
        made = ffi.new("hr_sampler **")
        report = new_report()
        lib.hr_sampler_new(model.pointer, settings, history, len(recent), made, report)
        del kept
        self.pointer = made[0]
        check(report, Operation.SAMPLER)

    def close(self) -> None:
        """Free what it holds. Closing again does nothing."""
        self.delete()


def _settings(params: SamplingParams, n_ctx: int) -> tuple[Any, list[Any]]:
    """An ``hr_sampling *``, and what it points into and must outlive its use."""
    breakers = [ffi.new("char[]", each.encode()) for each in params.dry_sequence_breakers]
    names = [getattr(lib, f"HR_SAMPLER_{name.upper()}") for name in params.samplers]
    arrays = {
        "dry_sequence_breakers": ffi.new("const char *[]", breakers),
        "samplers": ffi.new("int32_t[]", names),
        "biased": ffi.new("int32_t[]", [token for token, _ in params.logit_bias]),
        "biases": ffi.new("float[]", [bias for _, bias in params.logit_bias]),
    }
    settings = ffi.new(
        "hr_sampling *",
        {
            **{name: getattr(params, name) for name in _AS_THEY_ARE},
            **{name: _float(getattr(params, name)) for name in _UNBOUNDED},
            **arrays,
            "repeat_last_n": params.window(params.repeat_last_n, n_ctx),
            "dry_penalty_last_n": params.window(params.dry_penalty_last_n, n_ctx),
            "n_dry_sequence_breakers": len(breakers),
            "n_samplers": len(names),
            "n_biased": len(params.logit_bias),
        },
    )
    return settings, [breakers, arrays]


_LARGEST_FLOAT = 3.4028234663852886e38


def _float(value: float) -> float:
    """The value, within the range of a C float: beyond it a draw is as even as it gets."""
    return min(float(value), _LARGEST_FLOAT)
