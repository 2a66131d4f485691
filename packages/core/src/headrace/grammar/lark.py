"""From nodes to llguidance's notation, a dialect of Lark's, in which every grammar is compiled.

llguidance has a lexer: it reads the longest match of all that may come next, and never goes back.
The nodes know no lexer, and a text is theirs if it can be divided in any way. So

- a grammar that does not recurse is written as one regular expression, one lexeme: it ends where
  the output does, and how it divides its text inside is nobody's question;
- in one that recurses each character is a lexeme of its own, and what is longer is one lexeme only
  where no text can be read past its end (``headrace.grammar.lexemes``).

Rules have names of their own here, since Lark wants rules in small letters and terminals in
capitals. Tokens are written by id: only a vocabulary knows which one a text is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import attrs

from headrace.grammar.checks import walk
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
    children,
)
from headrace.grammar.places import error_at
from headrace.grammar.sets import union, without, writable
from headrace.grammar.shape import looped, meant, regular

HEADER = '%llguidance {"no_forcing": true}\n'
"""Without it llguidance would ask how a forced text is best tokenized, and allow no other way."""


@attrs.frozen
class Tokens:
    """What a vocabulary knows of its tokens."""

    n_tokens: int
    """Ids are 0 … n_tokens−1."""
    id_of: Callable[[str], int | None]
    """The id of the token that a text in angle brackets names; None: there is no such."""
    unsaid: Sequence[int] = ()
    """Tokens that no text stands for: the ends, and control tokens unless they are spoken."""


def write(rules: Rules, root: str, text: str, tokens: Tokens | None = None) -> str:
    """A source that matches what a rule matches.

    Args:
        rules: A grammar that was checked.
        root: The rule.
        text: What it was parsed from, to point at.
        tokens: What a vocabulary knows; None: a token keeps the text that names it.

    Raises:
        GrammarError: If the vocabulary has no such token, or rules form too long a chain.
    """
    body = Body(looped(rules, root), text, tokens)
    body.add("start", Ref(root))
    return HEADER + "\n".join(body.lines) + "\n"


class Body:
    """Rules and terminals, each written once, when it is first asked for."""

    def __init__(self, rules: Rules, text: str, tokens: Tokens | None) -> None:
        self.lines: list[str] = []
        self._rules = rules
        self._text = text
        self._tokens = tokens
        self._regular = regular(rules)
        self._names: dict[tuple[str, str], str] = {}
        self._todo: list[tuple[str, str]] = []

    def add(self, name: str, node: Node) -> None:
        """Write a rule, and all that it refers to."""
        if all(self._is_regular(each) for each in walk([node])):
            self.lines.append(f"{name}: {self._terminal(node)}")
        else:
            self.lines.append(f"{name}: {self._parts(node)}")
        while self._todo:
            kind, wanted = self._todo.pop()
            write = self._parts if kind == "r" else self._expression
            self.lines.append(f"{self._names[kind, wanted]}: {write(self._rules[wanted])}")

    def _is_regular(self, node: Node) -> bool:
        if isinstance(node, Ref):
            return node.name in self._regular
        return not isinstance(node, TokenRef)

    def _name(self, kind: str, wanted: str) -> str:
        key = kind, meant(self._rules, wanted)
        if key not in self._names:
            self._names[key] = f"{kind}{len(self._names)}"
            self._todo.append(key)
        return self._names[key]

    def _terminal(self, node: Node) -> str:
        """The name of a new terminal that is all of a node."""
        name = f"L{len(self.lines)}"
        self.lines.append(f"{name}: {self._expression(node)}")
        return name

    def _expression(self, node: Node) -> str:
        """A node as a part of a terminal."""
        return self._joined(node, lambda leaf: self._leaf(leaf, "T", quoted))

    def _parts(self, node: Node) -> str:
        """A node as a part of a rule."""
        return self._joined(node, lambda leaf: self._leaf(leaf, "r", _characters))

    def _leaf(self, node: Node, kind: str, quote: Callable[[str], str]) -> str:
        if isinstance(node, Text):
            return quote(node.characters)
        if isinstance(node, CharSet):
            return _set(node)
        if isinstance(node, TokenRef):
            return self._token(node)
        assert isinstance(node, Ref)
        return self._name(kind, node.name)

    def _joined(self, root: Node, leaf: Callable[[Node], str]) -> str:
        """The text of a node, made of those of its leaves; from below, since nodes nest deeply."""
        texts: dict[Node, str] = {}
        for node in reversed(list(walk([root]))):
            parts = [texts[child] for child in children(node)]
            if isinstance(node, Chain):
                texts[node] = f"({' '.join(parts)})" if parts else '""'
            elif isinstance(node, Either):
                texts[node] = f"({' | '.join(parts)})"
            elif isinstance(node, Repeat):
                texts[node] = _repeated(node, parts[0])
            else:
                texts[node] = leaf(node)
        return texts[root]

    def _token(self, node: TokenRef) -> str:
        named, tokens = node.token, self._tokens
        token = tokens.id_of(named) if tokens and isinstance(named, str) else named
        if tokens and token is None:
            raise error_at("grammar", self._text, node.at, f"{named} is no token of this model")
        if tokens and isinstance(token, int) and token >= tokens.n_tokens:
            raise error_at(
                "grammar",
                self._text,
                node.at,
                f"token {token} is not in the vocabulary (0 … {tokens.n_tokens - 1})",
            )
        if not node.negated:
            return token if isinstance(token, str) else f"<[{token}]>"
        return token_ranges([token, *(tokens.unsaid if tokens else ())], negated=True)


def token_ranges(ids: Sequence[int | str | None], *, negated: bool = False) -> str:
    """One of some tokens, or one of all others."""
    ranges = union((each, each) for each in ids if isinstance(each, int))
    listed = (str(low) if low == high else f"{low}-{high}" for low, high in ranges)
    return f"<[{'^' * negated}{','.join(listed)}]>"


def quoted(text: str) -> str:
    """A text as one lexeme."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007f")


def _characters(text: str) -> str:
    return f"({' '.join(map(quoted, text))})" if text else '""'


def _set(node: CharSet) -> str:
    ranges = writable(without(node.ranges) if node.negated else node.ranges)
    if not ranges:
        return NOTHING
    return f"/[{''.join(f'{_code(low)}-{_code(high)}' for low, high in ranges)}]/"


NOTHING = r"/[^\x{0}-\x{10FFFF}]/"
"""What no text matches."""


def _code(code: int) -> str:
    return rf"\x{{{code:X}}}"


def _repeated(node: Repeat, item: str) -> str:
    if node.high == 0:
        return '""'
    if node.high is None:
        return f"({item}{ {0: '*', 1: '+'}.get(node.low, f'{{{node.low},}}') })"
    return f"({item}{{{node.low},{node.high}}})"
