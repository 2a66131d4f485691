"""What is asked for when the middle is to be filled in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import attrs

from headrace.errors import ParamsError
from headrace.params import SamplingParams
from headrace.requests.checks import check_text, check_tokens

FIM_NAMES = ("fim_pre", "fim_suf", "fim_mid")
"""Names in ``ModelInfo.special_tokens`` of what a model must have."""
ORDERS = ("psm", "spm")

Text = str | Sequence[int]


class InfillKeywords(TypedDict, total=False):
    """The keywords of ``infill``, named once for all the methods that pass them on."""

    extra: Iterable[tuple[str, str]]
    order: str
    project: str
    path: str
    sampling: SamplingParams | None
    max_tokens: int | None
    stop: Sequence[str] | str
    ignore_eog: bool
    timeout: float | None


@attrs.frozen(kw_only=True)
class InfillRequest:
    """What is to be laid out, checked."""

    prefix: str | list[int]
    suffix: str | list[int]
    extra: tuple[tuple[str, str], ...]
    suffix_first: bool
    project: str
    path: str


def check_infill(
    prefix: Any, suffix: Any, extra: Any, order: Any, project: Any, path: Any, n_vocab: int
) -> InfillRequest:
    """The arguments of ``infill`` that say what the model sees.

    Raises:
        ParamsError: For the first that is of the wrong kind.
        TokenizeError: For a lone surrogate, or an id that is not in the vocabulary.
    """
    if order not in ORDERS:
        raise ParamsError(
            f"order must be 'psm' or 'spm', got {order!r:.60}",
            hint="'psm' puts the prefix first, 'spm' the suffix; the model's makers say which.",
        )
    _check_line("project", project)
    _check_line("path", path)
    return InfillRequest(
        prefix=_text("prefix", prefix, n_vocab),
        suffix=_text("suffix", suffix, n_vocab),
        extra=_files(extra),
        suffix_first=order == "spm",
        project=project,
        path=path,
    )


def _text(name: str, value: Any, n_vocab: int) -> str | list[int]:
    if isinstance(value, str):
        check_text(name, value)
        return value
    return check_tokens(name, value, n_vocab)


def _check_line(name: str, value: Any) -> None:
    check_text(name, value)
    if "\n" in value:
        raise ParamsError(f"{name} must be one line, got {value!r:.60}")


def _files(extra: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(extra, (str, bytes)) or not isinstance(extra, Iterable):
        raise ParamsError(f"extra must be a list of names and texts, got {extra!r:.60}")
    files = []
    for index, each in enumerate(extra):
        if not isinstance(each, (tuple, list)) or len(each) != 2:
            raise ParamsError(
                f"extra[{index}] must be a pair of a name and a text, got {each!r:.60}"
            )
        _check_line(f"the name of extra[{index}]", each[0])
        check_text(f"the text of extra[{index}]", each[1])
        files.append((each[0], each[1]))
    return tuple(files)
