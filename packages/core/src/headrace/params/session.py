"""``SessionParams``: what belongs to one conversation."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from headrace.errors import ParamsError
from headrace.params.adapters import (
    AdapterUse,
    ControlVectorUse,
    Use,
    adapter_uses,
    control_vector_uses,
)
from headrace.params.fields import choice, flag, integer, refuse, strict_names
from headrace.params.speculation import AUTO, DraftModel, PromptLookup


def _is_speculation(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    named = isinstance(value, str) and value == AUTO
    if not (value is None or named or isinstance(value, (PromptLookup, DraftModel))):
        refuse(instance, field, value, "'auto', a PromptLookup, a DraftModel or None")


@strict_names
@attrs.frozen(kw_only=True)
class SessionParams:
    """What belongs to one conversation.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    reproducible: bool = attrs.field(default=False, validator=flag())
    """The same tokens for the same seed, params and history: never batched with other sessions, and
    in a place apart from their memory, which may have to be made first."""

    on_context_full: str = attrs.field(default="stop", validator=choice("stop", "shift"))
    """What happens when the context is full: the generation ends (``stop``), or the oldest
    tokens are forgotten and it goes on (``shift``: where memory can, and not reproducibly)."""

    keep: int = attrs.field(default=0, validator=integer(0, 2**31 - 1))
    """With ``shift``: tokens at the beginning of the history that are never forgotten."""

    adapters: tuple[AdapterUse, ...] = attrs.field(default=(), converter=adapter_uses)
    """LoRA adapters the session computes with: what ``model.load_adapter`` returned, alone, in a
    pair with its scale, or as ``AdapterUse``."""

    control_vectors: tuple[ControlVectorUse, ...] = attrs.field(
        default=(), converter=control_vector_uses
    )
    """Control vectors it computes with, likewise; ``ControlVectorUse`` names layers too."""

    @property
    def uses(self) -> tuple[Use, ...]:
        """Adapters and control vectors together."""
        return (*self.adapters, *self.control_vectors)

    speculate: PromptLookup | DraftModel | Literal["auto"] | None = attrs.field(
        default=None, validator=_is_speculation
    )
    """How tokens are proposed, to be verified several at a time; None: they are not. ``auto``: by
    prompt lookup, as many as bring more tokens a second by what steps were measured to take, and
    none where none do or the memory cannot forget them. A reproducible session is not judged by the
    clock: there ``auto`` fills up the calls of a ``decode_width`` that was asked for."""

    decode_width: int | None = attrs.field(default=None, validator=integer(1, 64, optional=True))
    """Tokens of each native call that decodes, of a reproducible session; places for which there
    is no token are filled up. What is computed depends on the width and on nothing else, so a
    session that speculates and one of the same width that does not give the same tokens. None: 1,
    or wide enough for the drafts."""

    def __attrs_post_init__(self) -> None:
        """Refuse what excludes each other."""
        if self.decode_width is not None and not self.reproducible:
            raise ParamsError(
                "SessionParams.decode_width must be None unless reproducible=True, "
                f"got {self.decode_width}"
            )
        if self.reproducible and self.on_context_full == "shift":
            raise ParamsError(
                "SessionParams.on_context_full must be 'stop' for a reproducible session, "
                "got 'shift': what was forgotten cannot be computed again"
            )
