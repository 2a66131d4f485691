"""The samplers by name, and which fields of ``SamplingParams`` each of them reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from headrace.errors import ParamsError
from headrace.params.fields import refuse

READS: dict[str, tuple[str, ...]] = {
    "penalties": ("repeat_last_n", "repeat_penalty", "frequency_penalty", "presence_penalty"),
    "dry": (
        "dry_multiplier",
        "dry_base",
        "dry_allowed_length",
        "dry_penalty_last_n",
        "dry_sequence_breakers",
    ),
    "top_n_sigma": ("top_n_sigma",),
    "top_k": ("top_k",),
    "typ_p": ("typical_p",),
    "top_p": ("top_p",),
    "min_p": ("min_p",),
    "xtc": ("xtc_probability", "xtc_threshold"),
    "temperature": ("temperature", "dynatemp_range", "dynatemp_exponent"),
    "infill": (),
    "adaptive_p": ("adaptive_target", "adaptive_decay"),
}
"""Every sampler that an order may name, by llama.cpp's names, with the fields it reads."""

_MIROSTAT = ("mirostat_tau", "mirostat_eta")
_READERS = {
    **{name: sampler for sampler, names in READS.items() for name in names},
    **dict.fromkeys(_MIROSTAT, "mirostat"),
    **dict.fromkeys(("samplers", "min_keep"), ""),
}
"""Which sampler reads a field; those of no single one are left out only by mirostat."""

DEFAULT_SAMPLERS = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typ_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
"""llama.cpp's order."""


def validate_order(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Validator for an order: known names, none of them twice.

    Raises:
        ParamsError: With the closest name as "did you mean".
    """
    if not isinstance(value, tuple):
        refuse(instance, field, value, "a sequence of names of samplers")
    for name in value:
        if name not in READS:
            import difflib  # for whoever made a mistake

            close = difflib.get_close_matches(str(name), READS, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(READS)}."
            raise ParamsError(f"SamplingParams.samplers names no sampler {name!r}", hint=hint)
        if value.count(name) > 1:
            refuse(instance, field, value, f"without repetitions ({name!r} comes twice)")


def readable(mirostat: int, samplers: Iterable[str]) -> frozenset[str]:
    """The fields that are read with these two: mirostat goes with temperature alone."""
    if mirostat:
        return frozenset({"temperature", *_MIROSTAT})
    return frozenset({"samplers", "min_keep", *(name for each in samplers for name in READS[each])})


def check_effects(mirostat: int, samplers: tuple[str, ...], changed: Mapping[str, object]) -> None:
    """Refuse a value that is set and that no sampler would read.

    Args:
        mirostat: Of the params,
        samplers: and their order.
        changed: The fields that have another value than their default.

    Raises:
        ParamsError: With the field, and the sampler that it needs.
    """
    read = readable(mirostat, samplers)
    for name, sampler in _READERS.items():
        if name in changed and name not in read:
            why, hint = _reason(mirostat, samplers, name, sampler)
            raise ParamsError(
                f"SamplingParams.{name}={changed[name]!r} has no effect {why}", hint=hint
            )


def _reason(mirostat: int, samplers: tuple[str, ...], name: str, sampler: str) -> tuple[str, str]:
    if mirostat:
        return (
            f"with mirostat={mirostat}",
            f"Mirostat goes with temperature alone; leave {name} out.",
        )
    if sampler == "mirostat":
        return "without mirostat", "Set mirostat=1 or mirostat=2 beside it."
    return (
        f"because {sampler!r} is not one of samplers={samplers!r}",
        f"Add {sampler!r} to samplers, or leave {name} out.",
    )
