"""How tokens are proposed: frozen values for ``SessionParams.speculate``."""

from __future__ import annotations

from typing import Any, Final, Protocol

import attrs

from headrace.params.fields import integer, number, refuse, strict_names


class Drafts(Protocol):
    """A loaded model that can draft for another one; every model of the engine is one."""

    def open_drafter(self, target: Any, min_probability: float) -> Any:
        """What drafts with it for a session of another model."""
        ...


MAX_DRAFT = 31
"""Most tokens proposed at a time."""

AUTO: Final = "auto"
"""Prompt lookup where it pays, and nothing where it does not."""


@strict_names
@attrs.frozen(kw_only=True)
class PromptLookup:
    """Propose what followed the last few tokens when they came up before (Saxena, 2023).

    Costs next to nothing, and pays where the output quotes its prompt or itself:
    summaries, edits, code.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    ngram: int | None = attrs.field(default=None, validator=integer(1, 16, optional=True))
    """Most tokens at the end that must have come up before; fewer are tried if they have not. None:
    16, for what follows a few is often something else; 3 where calls are filled up anyway."""

    min_ngram: int | None = attrs.field(default=None, validator=integer(1, 16, optional=True))
    """Fewest of them. None: 2, or ``ngram`` if that is less; where neither is given, 16 are needed,
    and 2 where calls are filled up anyway."""

    max_draft: int = attrs.field(default=15, validator=integer(1, MAX_DRAFT))
    """Most tokens proposed at a time; fewer while they are rejected."""

    def __attrs_post_init__(self) -> None:
        """Refuse what excludes each other."""
        if self.ngram is not None and (self.min_ngram or 1) > self.ngram:
            field = attrs.fields(PromptLookup).min_ngram
            refuse(self, field, self.min_ngram, f"at most ngram={self.ngram}")


def _is_model(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not callable(getattr(value, "open_session", None)):
        refuse(instance, field, value, "a loaded model")


@strict_names
@attrs.frozen(kw_only=True)
class DraftModel:
    """Propose what a smaller model would write (Leviathan et al., arXiv:2211.17192).

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    model: Drafts = attrs.field(validator=_is_model)
    """A loaded model with the same vocabulary. It stays the caller's to close; once it is closed
    nothing is proposed any more."""

    max_draft: int = attrs.field(default=7, validator=integer(1, MAX_DRAFT))
    """Most tokens proposed at a time; fewer while they are rejected."""

    min_probability: float = attrs.field(default=0.0, validator=number(0.0, 1.0))
    """Proposing ends at the first token to which the smaller model gives less than this: what it
    is not sure of is seldom accepted, and costs a step of it. 0: it never does."""
