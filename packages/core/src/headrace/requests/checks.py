"""Checks of what callers pass to ``tokenize`` and ``generate``, before a backend sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from headrace.errors import ParamsError, TokenizeError
from headrace.params import SessionParams
from headrace.params.fields import is_whole


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


def token_ids(name: str, tokens: Any) -> tuple[int, ...]:
    """The ids as a tuple of int.

    Raises:
        ParamsError: If it is not a sequence of whole numbers.
    """
    if isinstance(tokens, (str, bytes)) or not isinstance(tokens, Iterable):
        raise ParamsError(f"{name} must be a sequence of token ids, got {tokens!r:.60}")
    ids = tuple(tokens)
    for index, token in enumerate(ids):
        if type(token) is not int and not is_whole(token):
            raise ParamsError(f"{name}[{index}] must be a token id, got {token!r:.60}")
    return tuple(map(int, ids))


def check_kept(to: Any, length: int) -> int:
    """How many tokens of a history are to be kept.

    Args:
        to: What ``rewind`` was given.
        length: Of the history.

    Raises:
        ParamsError: Unless it is a whole number from 0 to the length.
    """
    if not is_whole(to) or not 0 <= to <= length:
        raise ParamsError(
            f"to must be a whole number from 0 to {length}, got {to!r}",
            hint="It is the number of tokens to keep.",
        )
    return int(to)


def check_range(name: str, ids: Sequence[int], n_tokens: int) -> None:
    """Raise unless all ids are in a vocabulary; one of 0 tokens is not known.

    Raises:
        TokenizeError: For the first that is not.
    """
    if not ids or not n_tokens or (min(ids) >= 0 and max(ids) < n_tokens):
        return
    index = next(i for i, token in enumerate(ids) if not 0 <= token < n_tokens)
    raise TokenizeError(
        f"{name}[{index}] is {ids[index]}, outside the vocabulary of {n_tokens} tokens",
        hint=f"Token ids are 0 … {n_tokens - 1}.",
    )


def check_tokens(name: str, tokens: Any, n_tokens: int) -> list[int]:
    """The ids as a list.

    Raises:
        ParamsError: If it is not a sequence of whole numbers.
        TokenizeError: If an id is not in the vocabulary.
    """
    ids = token_ids(name, tokens)
    check_range(name, ids, n_tokens)
    return list(ids)


def check_flags(**flags: Any) -> None:
    """Raise ``ParamsError`` unless each is True or False."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ParamsError(f"{name} must be True or False, got {value!r:.60}")
