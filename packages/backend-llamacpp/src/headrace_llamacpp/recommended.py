"""The sampling that a file recommends: its keys ``general.sampling.*``.

What llama.cpp's programs take from a file by themselves is taken here on
request, and a value that makes no sense is an error instead of a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.errors import ModelFormatError, ParamsError
from headrace.params import READS, SamplingParams, readable

_PREFIX = "general.sampling."


def _order(text: str) -> tuple[str, ...]:
    return tuple(_sampler(name) for name in text.split(";"))


def _sampler(name: str) -> str:
    """A sampler by any of the names that llama.cpp knows; an unknown one as it is."""
    plain = name.strip().lower().replace("-", "").replace("_", "")
    known = {sampler.replace("_", ""): sampler for sampler in READS}
    return {**known, "nucleus": "top_p", "temp": "temperature", "typ": "typ_p"}.get(plain, name)


def _not_negative(text: str) -> float:
    return max(0.0, float(text))


_KEYS: dict[str, tuple[str, Any]] = {
    "sequence": ("samplers", _order),
    "top_k": ("top_k", lambda text: max(0, int(text))),
    "top_p": ("top_p", float),
    "min_p": ("min_p", float),
    "xtc_probability": ("xtc_probability", float),
    "xtc_threshold": ("xtc_threshold", float),
    "temp": ("temperature", _not_negative),
    "penalty_last_n": ("repeat_last_n", int),
    "penalty_repeat": ("repeat_penalty", float),
    "mirostat": ("mirostat", int),
    "mirostat_tau": ("mirostat_tau", float),
    "mirostat_eta": ("mirostat_eta", float),
}
"""For each key its field and how its text is read. Like llama.cpp, a top-k and a temperature below
0 are read as 0."""


def recommended_sampling(metadata: Mapping[str, Any]) -> SamplingParams:
    """The defaults, with what the metadata say in their place.

    A value that none of the recommended samplers reads is left out, as llama.cpp does.

    Raises:
        ModelFormatError: For a value that cannot be read or is outside its range.
    """
    values = {}
    for key, (field, read) in _KEYS.items():
        text = metadata.get(_PREFIX + key)
        if text is not None:
            values[field] = _value(key, str(text), field, read)
    defaults = SamplingParams()
    mirostat = values.get("mirostat", defaults.mirostat)
    read_fields = readable(mirostat, values.get("samplers", defaults.samplers))
    return SamplingParams(
        **{name: each for name, each in values.items() if name in {*read_fields, "mirostat"}}
    )


def _value(key: str, text: str, field: str, read: Any) -> Any:
    try:
        value = read(text)
        # With what it needs beside it to have an effect, so that its range alone is checked.
        beside = {"mirostat": 2} if field.startswith("mirostat_") else {}
        SamplingParams(**{field: value, **beside})
    except (ValueError, ParamsError) as error:
        raise ModelFormatError(
            f"the file recommends {_PREFIX}{key}={text!r}, which makes no sense: {error}",
            hint="Choose SamplingParams yourself, or mend it with --override-kv.",
            backend="llamacpp",
        ) from error
    return value
