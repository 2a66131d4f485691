"""A text whose likelihood is asked for."""

from __future__ import annotations

from typing import Any, TypedDict

import attrs

from headrace.common.work import Progress
from headrace.errors import ParamsError
from headrace.params import MAX_LOGPROBS
from headrace.params.fields import is_whole
from headrace.requests.checks import check_text, token_ids


class ScoreKeywords(TypedDict, total=False):
    """The keywords of ``score`` and ``ascore``."""

    top: int
    progress: Progress | None


def _text(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        check_text("text", value)
        found: str | tuple[int, ...] = value
    else:
        found = token_ids("text", value)
    if not found:
        raise ParamsError(f"text must not be empty, got {value!r:.60}")
    return found


def _top(value: Any) -> int:
    if not is_whole(value) or not 0 <= value <= MAX_LOGPROBS:
        raise ParamsError(f"top must be a whole number ≥ 0 and ≤ {MAX_LOGPROBS}, got {value!r:.60}")
    return int(value)


@attrs.frozen(kw_only=True)
class ScoreRequest:
    """A text to score after the history.

    Raises:
        ParamsError: For an empty text, or a value outside its range.
        TokenizeError: For a lone surrogate.
    """

    text: str | tuple[int, ...] = attrs.field(converter=_text)
    """Text or token ids."""
    top: int = attrs.field(default=0, converter=_top)
    """How many of the most likely tokens to name beside each."""
