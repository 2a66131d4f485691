"""From nodes back to llama.cpp's grammar notation."""

from __future__ import annotations

from headrace.grammar.nodes import (
    Chain,
    CharSet,
    Either,
    Node,
    Ref,
    Repeat,
    Rules,
    Text,
    TokenRef,
)

_IN_TEXT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "\\": r"\\"}
_IN_SET = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "]": r"\]", "\\": r"\\", "[": r"\[", "-": r"\-"}


def write_gbnf(rules: Rules) -> str:
    """The rules, one a line.

    A repetition of more than one element is written as a rule of its own: llama.cpp counts
    what is repeated in place, and not what is repeated by name.
    """
    writer = _Writer()
    for name, rule in rules.items():
        writer.lines.append(f"{name} ::= {writer.options(rule, name)}")
    return "\n".join(writer.lines) + "\n"


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[Node, str] = {}

    def options(self, node: Node, rule: str) -> str:
        if isinstance(node, Either):
            return " | ".join(self._sequence(option, rule) for option in node.options)
        return self._sequence(node, rule)

    def _sequence(self, node: Node, rule: str) -> str:
        if isinstance(node, Chain):
            return " ".join(self._item(item, rule) for item in node.items) or '""'
        return self._item(node, rule)

    def _item(self, node: Node, rule: str) -> str:
        if isinstance(node, Text):
            return '"' + "".join(map(_text_character, node.characters)) + '"'
        if isinstance(node, CharSet):
            return _set(node)
        if isinstance(node, Ref):
            return node.name
        if isinstance(node, TokenRef):
            token = f"<[{node.token}]>" if isinstance(node.token, int) else node.token
            return "!" * node.negated + token
        if isinstance(node, Repeat):
            return self._repeated(node.item, rule) + _times(node)
        return f"({self.options(node, rule)})"

    def _repeated(self, node: Node, rule: str) -> str:
        if isinstance(node, (Text, CharSet, Ref, TokenRef)):
            return self._item(node, rule)
        if node not in self._names:
            # No name of a caller's ends like this: two hyphens are written by nobody else.
            self._names[node] = f"{rule}--{len(self._names) + 1}"
            self.lines.append(f"{self._names[node]} ::= {self.options(node, rule)}")
        return self._names[node]


def _times(node: Repeat) -> str:
    signs = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    high = "" if node.high is None else node.high
    exact = f"{{{node.low}}}" if node.low == node.high else f"{{{node.low},{high}}}"
    return signs.get((node.low, node.high), exact)


def _text_character(character: str) -> str:
    return _IN_TEXT.get(character) or _plain(character)


def _set_character(code: int) -> str:
    character = chr(code)
    # A ^ at the beginning would negate the set.
    return r"\x5E" if character == "^" else _IN_SET.get(character) or _plain(character)


def _plain(character: str) -> str:
    code = ord(character)
    if code > 0xFFFF:
        return f"\\U{code:08X}"
    if not 0x20 <= code <= 0x7E:
        return f"\\u{code:04X}"
    return character


def _set(node: CharSet) -> str:
    if not node.ranges:
        return "."
    parts = [
        _set_character(low) + (f"-{_set_character(high)}" if high > low else "")
        for low, high in node.ranges
    ]
    return f"[{'^' * node.negated}{''.join(parts)}]"
