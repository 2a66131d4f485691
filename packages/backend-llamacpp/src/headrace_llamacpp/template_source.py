"""The source of a chat template, changed where llama.cpp's engine reads it otherwise than jinja2.

Authors try their templates with jinja2. What the engine gets wrong without saying so, or
refuses on templates in use, is written here in other words before it reads them;
``docs/templates.md`` has the list. A source that this module cannot take apart stays as it
is: the engine says what is wrong with it.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from headrace_llamacpp.template_tags import Piece, Tag, taken_apart

_LIMIT = 1 << 18
"""Characters of a source; those in use have a tenth of it."""
_FORMATS = 64
"""Calls of ``format`` in one tag."""
_KEY = "tokenizer.chat_template"
_NO_TEXT = "{{ '' }}"
_LOST_START = re.compile(
    r"(?:\r\n?|\n)[^\S\n]*\{[%#](?!-)|[^\s{][^\S\n]*\{[%#]",
)
"""A first character that the engine takes for a part of the blanks before a tag."""
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL)
_READ = "ntrbfv\\'\""
"""What the engine reads after a backslash."""
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_NO_SUCH_FILTER = "format_with_percent_signs"
"""The engine's own ``format`` leaves percent signs as they stand; this it refuses, when run."""
_SHOWN = "({0} if {0} is float and {0} == {0}|int else {0}|string)"
"""A value shown as in Python: alone it is nothing for None and mappings, and 0.0 for 1e-7; as a
string it is 1 for 1.0."""
_BEFORE = frozenset(["if", "elif", "else", "and", "or", "not", "(", "[", ",", "="])
_BEHIND = frozenset(["if", "else", "and", "or", ")", "]", ",", "}", ":"])
_WORDS = frozenset(["in", "is", "not", "and", "or", "if", "elif", "else"])


def mended(source: str) -> str:
    """A source that llama.cpp's engine renders as jinja2 renders the one given.

    Args:
        source: A Jinja template's.

    Returns:
        The same text where nothing had to be changed.
    """
    if len(source) > _LIMIT:
        return source
    if _shows_first_block_only(source):
        source = source.replace("['content'][0]['text']", "['content'][-1]['text']")
    pieces = taken_apart(source)
    if pieces is None:
        return source
    _mend_tags(pieces)
    start = _NO_TEXT if _LOST_START.match(source) else ""
    return start + "".join(piece if isinstance(piece, str) else piece.text() for piece in pieces)


class OwnTemplates:
    """The templates of a model's file, mended when they are first asked for.

    Args:
        metadata: That of the file.
    """

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._default = metadata.get(_KEY, "")
        self._for_tools = metadata.get(f"{_KEY}.tool_use", "")
        if self._default in ("", "chatml"):  # llama.cpp knows what the second one stands for
            self._default = self._for_tools or self._default
        self._found: dict[bool, str | None] = {}

    def source(self, *, with_tools: bool) -> str | None:
        """What is rendered, or None where llama.cpp may take it from the file as it is.

        Args:
            with_tools: Whether the conversation has tools, for which a file may have another one.
        """
        if with_tools not in self._found:
            chosen = self._for_tools if with_tools and self._for_tools else self._default
            changed = mended(chosen)
            self._found[with_tools] = None if changed == chosen else changed
        return self._found[with_tools]


def _shows_first_block_only(source: str) -> bool:
    """Whether llama.cpp takes it for one with blocks of thoughts, which stand before the text."""
    return (
        all(each in source for each in ("[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[ARGS]"))
        and "[CALL_ID]" not in source
        and "thinking" not in source
    )


def _mend_tags(pieces: list[Piece]) -> None:
    scopes: list[frozenset[str]] = []
    known: Counter[str] = Counter()
    for tag in pieces:
        if isinstance(tag, str):
            continue
        _follow(tag, scopes, known)
        _spell_escapes(tag)
        _fill_formats(tag)
        _test_membership(tag)
        if tag.shows and len(tag.words) == 1 and known[tag.words[0]] > 0:
            tag.words[0] = _SHOWN.format(tag.words[0])


def _follow(tag: Tag, scopes: list[frozenset[str]], known: Counter[str]) -> None:
    """Know the names whose values the conversation's tools and calls may have brought."""
    if tag.shows or not tag.words:
        return
    if tag.words[0] == "for":
        scopes.append(frozenset(tag.words[3:4] if tag.words[2:3] == [","] else ()))
        known.update(scopes[-1])
    elif tag.words[0] == "macro":
        scopes.append(frozenset(each for each in tag.words[2:] if each.isidentifier()))
        known.update(scopes[-1])
    elif tag.words[0] in ("endfor", "endmacro") and scopes:
        known.subtract(scopes.pop())


def _spell_escapes(tag: Tag) -> None:
    """Write characters for the escapes that the engine does not read."""
    for index, word in enumerate(tag.words):
        if word[:1] in ("'", '"') and "\\" in word:
            tag.words[index] = _ESCAPE.sub(_spelled, word)


def _spelled(escape: re.Match[str]) -> str:
    name = escape[1]
    if name in _READ:
        return escape[0]
    if name == "\n":
        return ""
    if len(name) == 1 and not name.isdigit():
        return f"\\\\{name}"  # Python leaves the backslash
    code = int(name, 8) if name.isdigit() else int(name[1:], 16)
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return escape[0]
    character = chr(code)
    return f"\\{character}" if character in "\\'\"" else character


def _fill_formats(tag: Tag) -> None:
    """Write ``'%s'|format(x)`` as the texts and values that it puts together."""
    words, pairs = tag.words, tag.pairs()
    calls = [
        index
        for index in range(2, len(words) - 1)
        if words[index - 1 : index + 2] == ["|", "format", "("] and index + 1 in pairs
    ]
    for index in reversed(calls):
        begin, closing, filled = index - 2, pairs[index + 1], None
        if len(calls) <= _FORMATS and (begin == 0 or words[begin - 1][:1] not in ("'", '"')):
            filled = _filled(words[begin], _arguments(tag, pairs, index + 1, closing))
        if filled is None:
            words[index] = _NO_SUCH_FILTER
            continue
        gone = closing - begin  # the places stay, so that those of other calls hold
        words[begin : closing + 1] = [filled, *[""] * gone]
        tag.blanks[begin + 1 : closing + 1] = [""] * gone


def _commas(words: list[str], pairs: Mapping[int, int], opening: int) -> Iterator[int]:
    """The places of the commas between the items of a list or call."""
    index = opening + 1
    while index < pairs[opening]:
        if words[index] == ",":
            yield index
        index = pairs.get(index, index) + 1


def _arguments(tag: Tag, pairs: Mapping[int, int], opening: int, closing: int) -> list[str]:
    ends = [opening, *_commas(tag.words, pairs, opening), closing]
    found = [
        "".join(tag.blanks[at] + tag.words[at] for at in range(begin + 1, end)).strip()
        for begin, end in itertools.pairwise(ends)
    ]
    return found if found[-1] else found[:-1]


def _filled(literal: str, arguments: list[str]) -> str | None:
    """The parts, or None if that is more than texts and whole numbers in their order."""
    named = any(re.match(r"\w+\s*=(?!=)|\*", each) for each in arguments)
    if named or literal[:1] not in ("'", '"'):
        return None
    quote, parts, end = literal[0], [], 1
    for directive in _DIRECTIVE.finditer(literal, 1, len(literal) - 1):
        parts.append(f"{quote}{literal[end : directive.start()]}{quote}")
        end = directive.end()
        if directive[1] == "%":
            parts.append(f"{quote}%{quote}")
        elif directive[1] in ("s", "d") and arguments:
            whole = "|int" if directive[1] == "d" else ""
            parts.append(f"({arguments.pop(0)}){whole}|string")
        else:
            return None
    parts.append(f"{quote}{literal[end:-1]}{quote}")
    return None if arguments else f"({' ~ '.join(parts)})"


def _test_membership(tag: Tag) -> None:
    """Write ``x in [1, 2]`` as a test: the operator fails where ``x`` is a list."""
    pairs = tag.pairs()
    backwards = {closing: opening for opening, closing in pairs.items()}
    first = tag.words.index("in") + 1 if tag.words[:1] == ["for"] and "in" in tag.words else 1
    for index in range(first, len(tag.words) - 1):
        closing = pairs.get(index + 1)
        if tag.words[index] != "in" or closing is None or not _is_list(tag, pairs, index + 1):
            continue
        negated = tag.words[index - 1] == "not"
        begin = _operand(tag, index - 1 - negated, backwards)
        if begin is None or (begin > 0 and tag.words[begin - 1] not in _BEFORE):
            continue
        if closing + 1 < len(tag.words) and tag.words[closing + 1] not in _BEHIND:
            continue
        tag.words[index + 1], tag.words[closing] = "[", "]"
        tag.words[index - negated] = "is not" if negated else "is in"


def _is_list(tag: Tag, pairs: Mapping[int, int], opening: int) -> bool:
    """Whether it is one for sure: what stands in parentheses may be anything."""
    if tag.words[opening] == "(":
        return any(True for _ in _commas(tag.words, pairs, opening))
    return tag.words[opening] == "["


def _operand(tag: Tag, end: int, backwards: Mapping[int, int]) -> int | None:
    """Where the name with attributes, items and calls begins that ends there."""
    while end >= 0:
        if end in backwards:
            end = backwards[end] - 1
            if end < 0 or not (end in backwards or tag.words[end].isidentifier()):
                return None
            continue
        if not tag.words[end].isidentifier() or tag.words[end] in _WORDS:
            return None
        if end == 0 or tag.words[end - 1] != ".":
            return end
        end -= 2
    return None
