"""What the fake writes under a grammar: its script if that satisfies it, else a text by seed."""

from __future__ import annotations

import itertools
import re

from headrace.errors import GrammarError
from headrace.grammar import Gbnf, Grammar, Lazy, Trigger
from headrace.grammar.checks import walk
from headrace.grammar.derivation import derive
from headrace.grammar.matcher import matches
from headrace.grammar.nodes import TokenRef
from headrace_fake import chain
from headrace_fake.vocabulary import SPECIAL_TEXT, ByteVocabulary


def constrained(grammar: Grammar, script: bytes | None, seed: int) -> tuple[int, ...] | None:
    """The tokens of a generation, without its end; None: the grammar stays dormant.

    Raises:
        GrammarError: For a token that the fake does not have, or a bad pattern of a trigger.
    """
    gbnf = grammar.gbnf
    start: int | None = 0
    if isinstance(grammar, Lazy):
        found = [_start(trigger, script or b"") for trigger in grammar.triggers]
        start = min((at for at in found if at is not None), default=None)
    if start is None:
        return None
    before, written = (script or b"")[:start], (script or b"")[start:]
    if script is not None and _satisfies(gbnf, written):
        return tuple(script)
    return (*before, *_derived(gbnf, seed))


def _satisfies(gbnf: Gbnf, written: bytes) -> bool:
    if any(isinstance(node, TokenRef) for node in walk(gbnf.rules.values())):
        return False  # a script has no tokens but bytes
    try:
        return matches(gbnf.rules, gbnf.root, written.decode())
    except UnicodeDecodeError:
        return False


def _derived(gbnf: Gbnf, seed: int) -> list[int]:
    counter = itertools.count()
    parts = derive(gbnf.rules, gbnf.root, lambda below: chain.scatter(seed, next(counter)) % below)
    tokens: list[int] = []
    for part in parts:
        tokens.extend(part.encode() if isinstance(part, str) else (_token(part),))
    return tokens


def _token(reference: TokenRef) -> int:
    named = reference.token
    token = SPECIAL_TEXT.get(named) if isinstance(named, str) else named
    if token is None or token >= ByteVocabulary.n_tokens:
        raise GrammarError(f"the fake has no token {named}", backend="fake")
    if reference.negated:
        return ord("b") if token == ord("a") else ord("a")
    return token


def _start(trigger: Trigger, script: bytes) -> int | None:
    """Where in the script the grammar wakes."""
    if trigger.token is not None:
        found = script.find(bytes([trigger.token])) if trigger.token < 256 else -1
        return None if found < 0 else found
    if trigger.word is not None:
        found = script.find(trigger.word.encode())
        return None if found < 0 else found
    text = script.decode(errors="replace")
    try:
        match = _search(trigger, text)
    except re.error as error:
        raise GrammarError(f"a trigger's pattern cannot be read: {error}", backend="fake") from None
    if match is None:
        return None
    group = next((i for i in range(1, match.re.groups + 1) if match.group(i)), 0)
    return len(text[: match.start(group)].encode())


def _search(trigger: Trigger, text: str) -> re.Match[str] | None:
    if trigger.pattern is not None:
        return re.search(trigger.pattern, text)
    pattern = re.compile(trigger.full_pattern or "")
    ends = range(1, len(text) + 1)
    return next((match for end in ends if (match := pattern.fullmatch(text, 0, end))), None)
