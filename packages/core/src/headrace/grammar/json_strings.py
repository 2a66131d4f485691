"""JSON strings as grammars: their characters and escapes, patterns and formats."""

from __future__ import annotations

import json

from headrace.errors import GrammarError
from headrace.grammar.builder import either, seq, times
from headrace.grammar.nodes import (
    Chain,
    CharSet,
    Either,
    Node,
    Repeat,
    Text,
)
from headrace.grammar.regex import parse_regex
from headrace.grammar.sets import Ranges, union, without, writable

_ESCAPED = {0x08: r"\b", 0x09: r"\t", 0x0A: r"\n", 0x0C: r"\f", 0x0D: r"\r", 0x22: r"\""}
_ESCAPED[0x5C] = r"\\"
_NOT_RAW: Ranges = ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C))
RAW = CharSet(writable(without(_NOT_RAW)))
"""Characters that stand for themselves."""


def _hex(*ranges: tuple[str, str]) -> CharSet:
    return CharSet(tuple((ord(low), ord(high)) for low, high in ranges))


_ANY_HEX = _hex(("0", "9"), ("A", "F"), ("a", "f"))
CHARACTER = either(
    RAW,
    seq("\\", CharSet(tuple((ord(c), ord(c)) for c in '"/\\bfnrt'))),
    # Half of a surrogate pair is no character, and a pair would be one that counts for two.
    seq("\\u", _hex(("0", "9"), ("A", "C"), ("E", "F"), ("a", "c"), ("e", "f")), *[_ANY_HEX] * 3),
    seq("\\u", CharSet(((0x44, 0x44), (0x64, 0x64))), _hex(("0", "7")), *[_ANY_HEX] * 2),
)
"""One character of a string, in any of its forms."""

FORMATS = {
    "date": r"[12]\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-"
    r"(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))",
    "time": r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "ipv4": r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)",
}
"""Formats that are kept to. To JSON Schema a format is a remark, so others are passed over."""
FORMATS["date-time"] = f"{FORMATS['date']}T{FORMATS['time']}"


def quoted(node: Node) -> Node:
    """A string with that content."""
    return seq('"', node, '"')


def literal(value: object) -> Node:
    """A constant, as it is written without spaces."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if any("\ud800" <= character <= "\udfff" for character in text):
        text = json.dumps(value, separators=(",", ":"))  # half a pair can be written as an escape
    return Text(text)


def matching(pattern: str) -> Node:
    """A string in which a pattern is found: anywhere, unless it has anchors.

    Raises:
        GrammarError: For a pattern that a grammar cannot express.
    """
    node, anchors = parse_regex(pattern)
    if len(anchors) > 1:
        raise GrammarError(
            "the alternatives of the pattern have different anchors",
            hint="Put them in parentheses: ^(a|b)$.",
        )
    (begins, ends), *_ = anchors
    anything = times(CHARACTER, 0, None)
    before = [] if begins else [anything]
    after = [] if ends else [anything]
    return quoted(seq(*before, _escaped(node), *after))


def _escaped(node: Node) -> Node:
    """What matches the same text as it is written in a JSON string."""
    if isinstance(node, Text):
        return Text(json.dumps(node.characters, ensure_ascii=False)[1:-1])
    if isinstance(node, CharSet):
        raw = writable(without(union((*without(node.ranges), *_NOT_RAW))))
        escapes = [text for code, text in _ESCAPED.items() if code in node]
        return either(*([CharSet(raw)] if raw else []), *escapes)
    if isinstance(node, Repeat):
        return Repeat(_escaped(node.item), node.low, node.high)
    if isinstance(node, Chain):
        return Chain(tuple(map(_escaped, node.items)))
    assert isinstance(node, Either)
    return Either(tuple(map(_escaped, node.options)))


def other_than(names: list[str]) -> Node:
    """A string that is none of the names, and has no escapes."""
    trie: dict[str, dict] = {}  # type: ignore[type-arg]
    for name in names:
        if all(ord(character) in RAW for character in name):
            at = trie
            for character in name:
                at = at.setdefault(character, {})
            at[""] = {}
    return quoted(_not_in(trie, start=True))


def _not_in(trie: dict[str, dict], *, start: bool = False) -> Node:  # type: ignore[type-arg]
    """The ways to go on from here to a text that is not in the trie."""
    letters = sorted(key for key in trie if key)
    known = union((ord(letter), ord(letter)) for letter in letters)
    other = CharSet(writable(without(union((*known, *_NOT_RAW)))))
    options: list[Node] = [seq(other, times(RAW, 0, None))]
    options += [seq(letter, _not_in(trie[letter])) for letter in letters]
    if "" not in trie and not start:
        options.append(seq())
    return either(*options)
