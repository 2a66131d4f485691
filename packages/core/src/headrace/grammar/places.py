"""Errors that point at a place in a text."""

from __future__ import annotations

from headrace.errors import GrammarError

_WIDTH = 60


def error_at(kind: str, text: str, at: int, message: str, hint: str | None = None) -> GrammarError:
    """An error that shows the line and marks the place.

    Args:
        kind: What the text is: ``grammar``, ``pattern``.
        text: All of it.
        at: Index of the character that is wrong; the length of the text: its end.
        message: What is wrong.
        hint: What can be done about it.
    """
    line = text.count("\n", 0, at) + 1
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    shown = text[start : end if end >= 0 else len(text)]
    cut = max(0, at - start - _WIDTH // 2)
    excerpt = shown[cut : cut + _WIDTH].replace("\t", " ")
    column = at - start + 1
    mark = " " * (at - start - cut) + "^"
    return GrammarError(
        f"{kind}, line {line}, column {column}: {message}\n    {excerpt}\n    {mark}",
        hint=hint,
        line=line,
        column=column,
    )


def check_unicode(kind: str, text: str) -> None:
    """Refuse what cannot be passed on as a C string.

    Raises:
        GrammarError: If there is a NUL or a lone surrogate in the text.
    """
    nul = text.find("\0")
    if nul >= 0:
        raise error_at(kind, text, nul, "a NUL character cannot be part of a " + kind)
    for index, character in enumerate(text) if not text.isascii() else ():
        if "\ud800" <= character <= "\udfff":
            # Shown without it: an error that cannot be printed helps nobody.
            clean = text.encode("utf-8", "replace").decode()
            raise error_at(kind, clean, index, f"a lone surrogate, {character!r}")
