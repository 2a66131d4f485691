"""A chat template's source in pieces: its texts, and the words of its tags."""

from __future__ import annotations

import re

import attrs

_BEGIN = re.compile(r"\{[{%#]")
_STRING = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_NEXT = rf"(\s*)(?:(%s)|({_STRING}|[^\W\d]\w*|\d+(?:\.\d+)?|[=!<>]=|\*\*|//|\S))"
_NEXT_IN = {
    "{%": re.compile(_NEXT % r"[-+]?%\}", re.DOTALL),
    "{{": re.compile(_NEXT % r"-?\}\}", re.DOTALL),
}
_PAIRS = {"(": ")", "[": "]", "{": "}"}


@attrs.define
class Tag:
    """``{% … %}`` or ``{{ … }}``."""

    opening: str
    closing: str = ""
    words: list[str] = attrs.field(factory=list)
    blanks: list[str] = attrs.field(factory=list)
    """What stands before each word."""

    @property
    def shows(self) -> bool:
        """Whether it is an expression whose value is shown."""
        return self.opening[:2] == "{{"

    def text(self) -> str:
        """Its source."""
        words = (blank + word for blank, word in zip(self.blanks, self.words, strict=True))
        return self.opening + "".join(words) + self.closing

    def pairs(self) -> dict[int, int]:
        """The places of opening brackets, and of those that close them."""
        found, open_ = {}, []
        for index, word in enumerate(self.words):
            if word in _PAIRS:
                open_.append(index)
            elif open_ and word == _PAIRS[self.words[open_[-1]]]:
                found[open_.pop()] = index
        return found


Piece = str | Tag
"""A text or comment as it stands in the source, or a tag."""


def taken_apart(source: str) -> list[Piece] | None:
    """The pieces, which joined are the source again.

    Args:
        source: A Jinja template's.

    Returns:
        None if a tag or a string has no end, or some of it is raw text.
    """
    pieces: list[Piece] = []
    at = 0
    while (begin := _BEGIN.search(source, at)) is not None:
        pieces.append(source[at : begin.start()])
        if begin[0] == "{#":
            at = source.find("#}", begin.end()) + 2
            if at == 1:
                return None
            pieces.append(source[begin.start() : at])
            continue
        tag = _tag(source, begin)
        if tag is None or (not tag.shows and tag.words[:1] == ["raw"]):
            return None
        pieces.append(tag)
        at = begin.start() + len(tag.text())
    return [*pieces, source[at:]]


def _tag(source: str, begin: re.Match[str]) -> Tag | None:
    sign = source[begin.end() : begin.end() + 1]
    tag = Tag(begin[0] + (sign if sign and sign in "-+" else ""))
    read, open_ = _NEXT_IN[begin[0]].match, 0
    at = begin.start() + len(tag.opening)
    while (found := read(source, at)) is not None:
        blank, end, word = found.groups()
        if end is not None and open_ == 0:
            tag.closing = blank + end
            return tag
        if end is not None:  # the first character of what would be an end elsewhere
            word = end[0]
        if word in "'\"":
            return None
        if word in _PAIRS:
            open_ += 1
        elif word in ")]}" and open_:
            open_ -= 1
        tag.blanks.append(blank)
        tag.words.append(word)
        at = found.start() + len(blank) + len(word)
    return None
