"""What every generation is asked for with, and the plainest request of all."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import attrs

from headrace.errors import ParamsError
from headrace.params import SamplingParams
from headrace.params.fields import finite, is_whole
from headrace.requests.checks import check_flags, check_text, token_ids

Prompt = str | Sequence[int] | None


class GenerationKeywords(TypedDict, total=False):
    """The keywords of ``generate``, ``complete`` and their forms for tasks."""

    sampling: SamplingParams | None
    max_tokens: int | None
    stop: Sequence[str] | str
    ignore_eog: bool
    timeout: float | None


def _sampling(value: Any) -> SamplingParams:
    if value is None:
        return SamplingParams()
    if not isinstance(value, SamplingParams):
        raise ParamsError(f"sampling must be SamplingParams or None, got {value!r:.60}")
    return value


def _max_tokens(value: Any) -> int | None:
    if value is None:
        return None
    if not is_whole(value) or value < 0:
        raise ParamsError(
            f"max_tokens must be a whole number ≥ 0 or None, got {value!r}",
            hint="0 only computes the prompt; None goes on until the model ends.",
        )
    return int(value)


def _stop(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Iterable):
        raise ParamsError(f"stop must be a string or a sequence of strings, got {value!r:.60}")
    strings = (value,) if isinstance(value, str) else tuple(value)
    for string in strings:
        if not isinstance(string, str) or not string:
            raise ParamsError(f"stop must hold non-empty strings, got {string!r:.60}")
        _check_stop(string)
    return strings


def _check_stop(string: str) -> None:
    """Raise unless a text may have it: a model's text never has a lone surrogate."""
    try:
        string.encode()
    except UnicodeEncodeError as error:
        raise ParamsError(
            f"stop must hold text without lone surrogates, got one at index {error.start}: "
            f"{string!r:.60}",
            hint="Decode the bytes it came from with errors='replace'.",
        ) from None


def _ignore_eog(value: Any) -> bool:
    check_flags(ignore_eog=value)
    return bool(value)


def _timeout(value: Any) -> float | None:
    if value is None:
        return None
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not finite(value) or value < 0:
        raise ParamsError(f"timeout must be a number of seconds ≥ 0 or None, got {value!r}")
    return float(value)


@attrs.frozen(kw_only=True)
class GenerationRequest:
    """What all generations have in common.

    Raises:
        ParamsError: For the first value that is outside its range.
    """

    sampling: SamplingParams = attrs.field(default=None, converter=_sampling)
    """How tokens are chosen."""
    max_tokens: int | None = attrs.field(default=None, converter=_max_tokens)
    """Most new tokens; None: until the model ends or the context is full; 0: only compute the
    prompt, to have it in memory."""
    stop: tuple[str, ...] = attrs.field(default=(), converter=_stop)
    """Strings that end the generation; they are not part of the text."""
    ignore_eog: bool = attrs.field(default=False, converter=_ignore_eog)
    """Never choose a token that ends the generation, unless a grammar allows nothing else."""
    timeout: float | None = attrs.field(default=None, converter=_timeout)
    """Seconds until the generation ends by itself; None: never."""


def _prompt(value: Any) -> str | tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        check_text("prompt", value)
        found: str | tuple[int, ...] = value
    else:
        found = token_ids("prompt", value)
    if not found:
        raise ParamsError(
            f"prompt must not be empty, got {value!r}",
            hint="Pass None to go on where the history ends.",
        )
    return found


@attrs.frozen(kw_only=True)
class GenerateRequest(GenerationRequest):
    """A prompt to be continued.

    Raises:
        ParamsError: For an empty prompt, or a value outside its range.
        TokenizeError: For a lone surrogate.
    """

    prompt: str | tuple[int, ...] | None = attrs.field(converter=_prompt)
    """Text, token ids, or None to go on where the history ends."""
