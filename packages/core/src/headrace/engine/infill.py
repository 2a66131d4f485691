"""Filling in the middle: how prefix, suffix and other files are laid out for the model.

The order of the parts is that of llama-server's ``/infill``, which is that of the models'
makers (see "Qwen2.5-Coder Technical Report", arXiv:2409.12186, for the level of repositories):

    REP project⏎  SEP name⏎ text …  SEP path⏎  BOS  PRE prefix SUF suffix MID

Unlike the server nothing is left out to make it fit: what does not fit is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.errors import UnsupportedError
from headrace.requests.infill import FIM_NAMES, InfillRequest
from headrace.results import Capability

if TYPE_CHECKING:
    from headrace.model import Model

_BETWEEN_FILES = "\n\n--- snippet ---\n\n"
"""Before each other file, where the model has no token for it."""


def tokens_of(model: Model, request: InfillRequest) -> list[int]:
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

    def ids(text: str | tuple[int, ...]) -> list[int]:
        if not isinstance(text, str):
            return list(text)
        # Whatever looks like a special token is text of a file.
        return model.tokenize(text, add_special=False, parse_special=False)

    before = [special["fim_pre"], *ids(request.prefix)]
    after = [special["fim_suf"], *ids(request.suffix)]
    parts = (after, before) if request.order == "spm" else (before, after)
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
