"""What a prompt becomes: token ids that follow the history."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from headrace.errors import ParamsError
from headrace.params import MAX_SEED, SamplingParams

if TYPE_CHECKING:
    from headrace.model import Model

_SHORT = 4096
"""Characters, or ids, of a prompt that an event loop is not held up by: a millisecond at most."""


def check_prompt(prompt: str | tuple[int, ...] | None, model: Model, *, history: bool) -> list[int]:
    """Token ids of a prompt; none to go on where the history ends.

    Raises:
        ParamsError: If the prompt is None with nothing to go on from, or has no tokens.
        TokenizeError: If the library refuses it.
    """
    if prompt is None:
        if not history:
            raise ParamsError(
                "prompt is None, but the session's history is empty",
                hint="Begin with a text or token ids.",
            )
        return []
    if not isinstance(prompt, str):
        return list(prompt)
    tokens = model.tokenize(prompt, add_special=not history)
    if not tokens:
        raise ParamsError(
            f"prompt must not be empty, got {prompt!r}",
            hint="Pass None to go on where the history ends.",
        )
    return tokens


def is_short(prompt: Any) -> bool:
    """Whether the ids of a prompt are found in so little time that nobody notices."""
    return prompt is None or (isinstance(prompt, (str, list, tuple)) and len(prompt) <= _SHORT)


def check_scored(text: str | tuple[int, ...], model: Model, *, history: bool) -> list[int]:
    """Token ids of a text to score.

    Raises:
        ParamsError: If it has none.
        TokenizeError: If the library refuses it.
    """
    if not isinstance(text, str):
        return list(text)
    tokens = model.tokenize(text, add_special=not history)
    if not tokens:
        raise ParamsError(f"text must not be empty, got {text!r:.60}")
    return tokens


def draw_seed(sampling: SamplingParams) -> int:
    """The seed to use, drawn if none is given."""
    return secrets.randbelow(MAX_SEED + 1) if sampling.seed is None else sampling.seed
