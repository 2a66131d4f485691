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

import itertools
from collections.abc import Iterator

from headrace.errors import GrammarError
from headrace.grammar.checks import walk
from headrace.grammar.lexemes import grouped, lexemes
from headrace.grammar.nodes import (
    Chain,
    CharSet,
    Either,
    First,
    Node,
    Opaque,
    Ref,
    Repeat,
    Rules,
    Text,
    TokenRef,
    Tokens,
    Whole,
    children,
)
from headrace.grammar.places import error_at
from headrace.grammar.sets import without, writable
from headrace.grammar.shape import ROOT, looped, meant, regular
from headrace.grammar.sources import HEADER, literal, token_set


def write(
    start: Node,
    rules: Rules,
    text: str = "",
    tokens: Tokens | None = None,
    *,
    plain: bool = False,
) -> str:
    """A source that matches what a node matches.

    Args:
        start: What all of the output is to match.
        rules: Those of a grammar that was checked.
        text: What they were parsed from, to point at; empty: they are of several grammars.
        tokens: What a vocabulary knows; None: a token keeps the text that names it.
        plain: Make a lexeme of every character: slow to follow, and never too much for llguidance's
            regular expressions.

    Raises:
        GrammarError: If the vocabulary has no such token, or rules form too long a chain.
    """
    body = Body(looped(start, rules), text, tokens, plain=plain)
    body.add("start", Ref(ROOT))
    return HEADER + "\n".join(body.lines) + "\n"


_Parts = tuple[str, ...]
"""What is to be written one after the other; a character that stands for itself as it is."""


class Body:
    """Rules and terminals, each written once, when it is first asked for."""

    def __init__(self, rules: Rules, text: str, tokens: Tokens | None, *, plain: bool) -> None:
        self.lines: list[str] = []
        self._rules = rules
        self._text = text
        self._tokens = tokens
        self._regular = regular(rules)
        self._plain = plain
        self._lexemes: set[Node] = set()
        if not plain and ROOT not in self._regular:
            self._rules = grouped(rules, self._regular)
            self._lexemes = lexemes(self._rules, ROOT, self._regular)
        self._names: dict[tuple[str, str], str] = {}
        self._todo: list[tuple[str, str]] = []

    def add(self, name: str, node: Node) -> None:
        """Write a rule, and all that it refers to."""
        if not self._plain and self._is_whole(node):
            self.lines.append(f"{name}: {self._terminal(node)}")
        else:
            self.lines.append(f"{name}: {self._expression(node, 'r')}")
        while self._todo:
            kind, wanted = self._todo.pop()
            written = self._expression(self._rules[wanted], kind)
            self.lines.append(f"{self._names[kind, wanted]}: {written}")

    def _is_regular(self, node: Node) -> bool:
        if isinstance(node, Ref):
            return node.name in self._regular
        return not isinstance(node, (TokenRef, First, Opaque))

    def _name(self, kind: str, wanted: str) -> str:
        key = kind, meant(self._rules, wanted)
        if key not in self._names:
            self._names[key] = f"{kind}{len(self._names)}"
            self._todo.append(key)
        return self._names[key]

    def _terminal(self, node: Node, kind: str = "L", options: str = "") -> str:
        """The name of a new terminal that is all of a node."""
        name = f"{kind}{len(self._names)}"
        self._names[kind, name] = name
        self.lines.append(f"{name}{options}: {self._expression(node, 'T')}")
        return name

    def _expression(self, root: Node, kind: str) -> str:
        """A node as a part of a terminal (T) or of a rule (r).

        Made of its parts from below, since nodes nest deeply. Alternatives that are the same but
        for where their texts are divided become one: llguidance panics at such.
        """
        found: dict[Node, _Parts] = {}
        for node in reversed(list(self._walk(root, kind))):
            parts = [found[child] for child in children(node) if child in found]
            if node in self._lexemes and kind == "r" and not isinstance(node, First):
                found[node] = (self._terminal(node.item if isinstance(node, Whole) else node),)
            elif isinstance(node, First):
                found[node] = parts[0] if parts else (self._terminal(node.item, "f", "[lazy]"),)
            elif isinstance(node, Whole):
                found[node] = parts[0] if parts else (self._terminal(node.item),)
            elif isinstance(node, Chain):
                found[node] = tuple(each for child in parts for each in child)
            elif isinstance(node, Either):
                options = list(dict.fromkeys(parts))
                joined = " | ".join(_joined(option, kind) for option in options) or NOTHING
                found[node] = options[0] if len(options) == 1 else (f"({joined})",)
            elif isinstance(node, Repeat):
                found[node] = _repeated(node, f"({_joined(parts[0], kind)})")
            else:
                found[node] = self._leaf(node, kind)
        return _joined(found[root], kind)

    def _walk(self, root: Node, kind: str) -> Iterator[Node]:
        """The nodes that are written in place."""
        todo = [root]
        while todo:
            node = todo.pop()
            yield node
            if node in self._lexemes and kind == "r":
                continue
            whole = isinstance(node, (Whole, First)) and kind == "r"
            if not (whole and all(map(self._is_whole, children(node)))):
                todo.extend(reversed(children(node)))

    def _is_whole(self, node: Node) -> bool:
        return all(self._is_regular(each) for each in walk([node]))

    def _leaf(self, node: Node, kind: str) -> _Parts:
        if isinstance(node, Ref):
            rule = self._rules[meant(self._rules, node.name)]
            if not isinstance(rule, (Text, CharSet)):
                return (self._name(kind, node.name),)
            node = rule
        if isinstance(node, Text):
            return tuple(node.characters)
        if isinstance(node, CharSet):
            return (_set(node),)
        if isinstance(node, Opaque):
            return (node.written(self._tokens),)
        assert isinstance(node, TokenRef)
        return (self._token(node),)

    def _token(self, node: TokenRef) -> str:
        named, tokens = node.token, self._tokens
        token = tokens.id_of(named) if tokens and isinstance(named, str) else named
        if tokens and token is None:
            raise self._error(node, f"{named} is no token of this model")
        if tokens and isinstance(token, int) and token >= tokens.n_tokens:
            last = tokens.n_tokens - 1
            raise self._error(node, f"token {token} is not in the vocabulary (0 … {last})")
        if not node.negated:
            return token if isinstance(token, str) else f"<[{token}]>"
        return token_set([token, *(tokens.unsaid() if tokens else ())], negated=True)

    def _error(self, node: TokenRef, message: str) -> GrammarError:
        if self._text:
            return error_at("grammar", self._text, node.at, message)
        return GrammarError(f"grammar: {message}")


def _joined(parts: _Parts, kind: str) -> str:
    """The parts one after the other; in a terminal, characters in a row as one text."""
    if kind == "T":
        texts = [
            literal("".join(run)) if plain else " ".join(run)
            for plain, run in itertools.groupby(parts, lambda part: len(part) == 1)
        ]
    else:
        texts = [literal(part) if len(part) == 1 else part for part in parts]
    return " ".join(texts) or '""'


def _set(node: CharSet) -> str:
    """A set of one character is that character."""
    ranges = writable(without(node.ranges) if node.negated else node.ranges)
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return chr(ranges[0][0])
    listed = "".join(f"{_code(low)}-{_code(high)}" for low, high in ranges)
    return f"/[{listed}]/" if ranges else NOTHING


NOTHING = r"/[^\x{0}-\x{10FFFF}]/"
"""What no text matches."""


def _code(code: int) -> str:
    return rf"\x{{{code:X}}}"


def _repeated(node: Repeat, item: str) -> _Parts:
    if node.high == 0:
        return ()
    if node.high is None:
        return (f"{item}{ {0: '*', 1: '+'}.get(node.low, f'{{{node.low},}}') }",)
    return (f"{item}{{{node.low},{node.high}}}",)
