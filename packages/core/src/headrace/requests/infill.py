"""What is asked for when the middle is to be filled in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from headrace.errors import ParamsError
from headrace.requests.checks import check_text, token_ids
from headrace.requests.generation import GenerationKeywords, GenerationRequest

FIM_NAMES = ("fim_pre", "fim_suf", "fim_mid")
"""Names in ``ModelInfo.special_tokens`` of what a model must have."""
ORDERS = ("psm", "spm")

Text = str | Sequence[int]


class InfillKeywords(GenerationKeywords, total=False):
    """The keywords of ``infill``, ``complete_infill`` and their forms for tasks."""

    extra: Iterable[tuple[str, str]]
    order: str
    project: str
    path: str


def _order(value: Any) -> str:
    if value not in ORDERS:
        raise ParamsError(
            f"order must be 'psm' or 'spm', got {value!r:.60}",
            hint="'psm' puts the prefix first, 'spm' the suffix; the model's makers say which.",
        )
    return str(value)


def _text(name: str, value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        check_text(name, value)
        return value
    return token_ids(name, value)


def _prefix(value: Any) -> str | tuple[int, ...]:
    return _text("prefix", value)


def _suffix(value: Any) -> str | tuple[int, ...]:
    return _text("suffix", value)


def _line(name: str, value: Any) -> str:
    check_text(name, value)
    if "\n" in value:
        raise ParamsError(f"{name} must be one line, got {value!r:.60}")
    return str(value)


def _project(value: Any) -> str:
    return _line("project", value)


def _path(value: Any) -> str:
    return _line("path", value)


def _files(extra: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(extra, (str, bytes)) or not isinstance(extra, Iterable):
        raise ParamsError(f"extra must be a list of names and texts, got {extra!r:.60}")
    files = []
    for index, each in enumerate(extra):
        if not isinstance(each, (tuple, list)) or len(each) != 2:
            raise ParamsError(
                f"extra[{index}] must be a pair of a name and a text, got {each!r:.60}"
            )
        _line(f"the name of extra[{index}]", each[0])
        check_text(f"the text of extra[{index}]", each[1])
        files.append((each[0], each[1]))
    return tuple(files)


@attrs.frozen(kw_only=True)
class InfillRequest(GenerationRequest):
    """A place between a prefix and a suffix that is to be filled.

    Raises:
        ParamsError: For an argument of the wrong kind.
        TokenizeError: For a lone surrogate.
    """

    prefix: str | tuple[int, ...] = attrs.field(converter=_prefix)
    """Text or token ids before the place; may be empty."""
    suffix: str | tuple[int, ...] = attrs.field(converter=_suffix)
    """What comes after it."""
    extra: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_files)
    """Names and texts of other files; the last one stands nearest."""
    order: str = attrs.field(default="psm", converter=_order)
    """``psm``: prefix, suffix, middle; ``spm``: suffix, prefix, middle."""
    project: str = attrs.field(default="myproject", converter=_project)
    """Name of the project."""
    path: str = attrs.field(default="filename", converter=_path)
    """Name of the file."""
