"""Filling in the middle: how prefix, suffix and other files are laid out for the model.

The order of the parts is that of llama-server's ``/infill``, which is that of the models'
makers (see "Qwen2.5-Coder Technical Report", arXiv:2409.12186, for the level of repositories):

    REP project⏎  SEP name⏎ text …  SEP path⏎  BOS  PRE prefix SUF suffix MID

Unlike the server nothing is left out to make it fit: what does not fit is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import attrs

from headrace.errors import ParamsError, UnsupportedError
from headrace.params import SamplingParams
from headrace.prompts import check_text, check_tokens
from headrace.results import Capability

if TYPE_CHECKING:
    from headrace.protocols.waist import Model

FIM_NAMES = ("fim_pre", "fim_suf", "fim_mid")
"""Names in ``ModelInfo.special_tokens`` of what a model must have."""
ORDERS = ("psm", "spm")
_BETWEEN_FILES = "\n\n--- snippet ---\n\n"
"""Before each other file, where the model has no token for it."""

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


def infill_tokens(model: Model, request: InfillRequest) -> list[int]:
    """What the model sees, as token ids.

    Raises:
        UnsupportedError: If the model was not trained for it.
        TokenizeError: If the library refuses a text.
    """
    special = model.info.special_tokens
    if Capability.INFILL not in model.capabilities:
        missing = ", ".join(name for name in FIM_NAMES if name not in special)
        raise UnsupportedError(
            f"the model {model.info.name!r} cannot fill in the middle"
            + (f": it has no {missing} among its special tokens" if missing else ""),
            hint="Models made for writing code often can; others continue a prompt.",
            backend=model.info.backend,
        )

    def ids(text: str | list[int]) -> list[int]:
        if not isinstance(text, str):
            return text
        # Whatever looks like a special token is text of a file.
        return model.tokenize(text, add_special=False, parse_special=False)

    before = [special["fim_pre"], *ids(request.prefix)]
    after = [special["fim_suf"], *ids(request.suffix)]
    parts = (after, before) if request.suffix_first else (before, after)
    return [
        *_surroundings(request, special, ids),
        *_beginning(model),
        *parts[0],
        *parts[1],
        special["fim_mid"],
    ]


def _surroundings(request: InfillRequest, special: dict[str, int], ids: Any) -> list[int]:
    """Project, other files and the name of this one, as far as the model has tokens for them."""
    found: list[int] = []
    if "fim_rep" in special:
        found += [special["fim_rep"], *ids(f"{request.project}\n")]
    for name, text in request.extra:
        if "fim_sep" in special:
            found += [special["fim_sep"], *ids(f"{name}\n")]
        else:
            found += ids(_BETWEEN_FILES)
        found += ids(text)
    if "fim_sep" in special:
        found += [special["fim_sep"], *ids(f"{request.path}\n")]
    return found


def _beginning(model: Model) -> list[int]:
    """BOS, if the model expects it before a text."""
    bos = model.info.special_tokens.get("bos")
    added = model.tokenize("", add_special=True)[:1]
    return added if added == [bos] else []
