"""Texts whose vectors, or documents whose ranking, are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import attrs

from headrace.common.work import Progress
from headrace.errors import ParamsError
from headrace.params.fields import is_whole
from headrace.requests.checks import check_flags, check_text, token_ids

Texts = str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]


class EmbedKeywords(TypedDict, total=False):
    """The keywords of ``embed`` and ``aembed``."""

    pooling: str | None
    normalize: bool
    truncate: bool
    as_array: bool
    progress: Progress | None


class RankKeywords(TypedDict, total=False):
    """The keywords of ``rerank`` and ``arerank``."""

    sort: bool
    truncate: bool
    progress: Progress | None


def _texts(texts: Any) -> tuple[str | tuple[int, ...], ...]:
    return tuple(_text(f"texts[{index}]", each) for index, each in enumerate(_split(texts)))


def _split(texts: Any) -> list[Any]:
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise ParamsError(
            f"texts must be a str, a sequence of str, or token ids, got {texts!r:.60}"
        )
    given = list(texts)
    # A flat list of numbers is the token ids of one text.
    return [given] if given and all(map(is_whole, given)) else given


def _text(name: str, text: Any) -> str | tuple[int, ...]:
    if isinstance(text, str):
        check_text(name, text)
        return text
    ids = token_ids(name, text)
    if not ids:
        raise ParamsError(
            f"{name} is a list of token ids without one",
            hint="Leave empty texts out. Special tokens are added to a str alone.",
        )
    return ids


def _documents(documents: Any) -> tuple[str, ...]:
    if isinstance(documents, (str, bytes)) or not isinstance(documents, Sequence):
        raise ParamsError(f"documents must be a sequence of str, got {documents!r:.60}")
    for index, each in enumerate(documents):
        check_text(f"documents[{index}]", each)
    return tuple(documents)


def _query(query: Any) -> str:
    check_text("query", query)
    return str(query)


def _is_flag(instance: Any, field: attrs.Attribute[bool], value: Any) -> None:
    check_flags(**{field.name: value})


@attrs.frozen(kw_only=True)
class EmbedRequest:
    """Texts whose vectors are wanted.

    Raises:
        ParamsError: For a wrong argument, or a text without a token.
        TokenizeError: For a lone surrogate.
    """

    texts: tuple[str | tuple[int, ...], ...] = attrs.field(converter=_texts)
    """Each a str or its token ids."""
    pooling: str | None = None
    """``mean``, ``cls``, ``last``, or ``none`` for one vector a token; None: what the model was
    made for."""
    normalize: bool = attrs.field(default=True, validator=_is_flag)
    """Whether every vector gets a Euclidean length of 1."""
    truncate: bool = attrs.field(default=False, validator=_is_flag)
    """Whether texts that are too long are cut."""
    as_array: bool = attrs.field(default=False, validator=_is_flag)
    """Whether numpy arrays are wanted instead of lists."""


@attrs.frozen(kw_only=True)
class RankRequest:
    """Documents whose fitness as answers to a query is wanted.

    Raises:
        ParamsError: For a wrong argument.
        TokenizeError: For a lone surrogate.
    """

    query: str = attrs.field(converter=_query)
    """The question."""
    documents: tuple[str, ...] = attrs.field(converter=_documents)
    """What may answer it."""
    sort: bool = attrs.field(default=False, validator=_is_flag)
    """Whether the best comes first."""
    truncate: bool = attrs.field(default=False, validator=_is_flag)
    """Whether documents that are too long are cut."""
