"""Checks of what callers pass to ``tokenize`` and ``generate``, before a backend sees it."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable
from typing import Any

from headrace.errors import ParamsError, TokenizeError
from headrace.params import MAX_LOGPROBS, SamplingParams, SessionParams
from headrace.params.fields import finite


def check_session_params(params: Any) -> SessionParams:
    """The settings of a session; the defaults for None.

    Raises:
        ParamsError: If they are something else.
    """
    if params is None:
        return SessionParams()
    if not isinstance(params, SessionParams):
        raise ParamsError(
            f"open_session's params must be SessionParams or None, got {params!r:.60}",
            hint="ModelParams and EngineParams belong to load_model, SamplingParams to generate.",
        )
    return params


def check_path(name: str, path: Any) -> str:
    """A path, or another reference to a file, as text.

    Raises:
        ParamsError: If it is something else, empty, or has a NUL in it.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ParamsError(f"{name} must be a string or a path, got {path!r}")
    text = os.fsdecode(path)
    if not text:
        raise ParamsError(f"{name} is empty")
    if "\0" in text:
        raise ParamsError(f"{name} contains a NUL character: {text!r}")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ParamsError(f"{name} is no name that a file can have: {text!r}") from None
    return text


def check_text(name: str, text: Any) -> None:
    """Raise unless ``text`` is a string of Unicode characters.

    Raises:
        ParamsError: If it is not a string.
        TokenizeError: If it contains a lone surrogate.
    """
    if not isinstance(text, str):
        raise ParamsError(f"{name} must be a str, got {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TokenizeError(
            f"{name} has a lone surrogate {text[error.start]!r} at index {error.start}",
            hint="Decode the bytes it came from with errors='replace'.",
        ) from None


def check_tokens(name: str, tokens: Iterable[Any], n_tokens: int) -> list[int]:
    """The ids as a list.

    Raises:
        ParamsError: If it is not a sequence of whole numbers.
        TokenizeError: If an id is not in the vocabulary.
    """
    if isinstance(tokens, (str, bytes)) or not isinstance(tokens, Iterable):
        raise ParamsError(f"{name} must be a sequence of token ids, got {tokens!r:.60}")
    ids = list(tokens)
    for index, token in enumerate(ids):
        if not isinstance(token, numbers.Integral) or isinstance(token, bool):
            raise ParamsError(f"{name}[{index}] must be a token id, got {token!r:.60}")
        if not 0 <= int(token) < n_tokens:
            raise TokenizeError(
                f"{name}[{index}] is {token}, outside the vocabulary of {n_tokens} tokens",
                hint=f"Token ids are 0 … {n_tokens - 1}.",
            )
    return [int(token) for token in ids]


def check_top(top: Any) -> None:
    """Raise unless ``top`` is a number of likely tokens.

    Raises:
        ParamsError: If it is none, or too large.
    """
    whole = isinstance(top, numbers.Integral) and not isinstance(top, bool)
    if not whole or not 0 <= top <= MAX_LOGPROBS:
        raise ParamsError(f"top must be a whole number ≥ 0 and ≤ {MAX_LOGPROBS}, got {top!r:.60}")


def check_flags(**flags: Any) -> None:
    """Raise ``ParamsError`` unless each is True or False."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ParamsError(f"{name} must be True or False, got {value!r:.60}")


def check_generation(
    sampling: Any, max_tokens: Any, stop: Any, ignore_eog: Any, timeout: Any
) -> tuple[str, ...]:
    """Check the arguments of ``generate``; returns the stop strings as a tuple.

    Raises:
        ParamsError: For the first that is outside its range.
    """
    if sampling is not None and not isinstance(sampling, SamplingParams):
        raise ParamsError(f"sampling must be SamplingParams or None, got {sampling!r:.60}")
    whole = isinstance(max_tokens, numbers.Integral) and not isinstance(max_tokens, bool)
    if max_tokens is not None and (not whole or max_tokens < 0):
        raise ParamsError(
            f"max_tokens must be a whole number ≥ 0 or None, got {max_tokens!r}",
            hint="0 only computes the prompt; None goes on until the model ends.",
        )
    if not isinstance(ignore_eog, bool):
        raise ParamsError(f"ignore_eog must be True or False, got {ignore_eog!r}")
    real = isinstance(timeout, numbers.Real) and not isinstance(timeout, bool)
    if timeout is not None and (not real or not finite(timeout) or timeout < 0):
        raise ParamsError(f"timeout must be a number of seconds ≥ 0 or None, got {timeout!r}")
    if not isinstance(stop, Iterable):
        raise ParamsError(f"stop must be a string or a sequence of strings, got {stop!r:.60}")
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    for string in stops:
        if not isinstance(string, str) or not string:
            raise ParamsError(f"stop must hold non-empty strings, got {string!r:.60}")
        _check_stop(string)
    return stops


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
