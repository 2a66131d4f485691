"""Grammars made of grammars: dormant ones, free text with parts that are kept to one, Lark's own.

``Grammar`` is all that a caller can constrain an output with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from headrace.errors import GrammarError
from headrace.grammar import library, waking
from headrace.grammar.derivative import Matcher
from headrace.grammar.dormant import Automaton, add_free, add_states, automaton, behind
from headrace.grammar.lark import write
from headrace.grammar.nodes import (
    Chain,
    CharSet,
    Either,
    First,
    Node,
    Opaque,
    Ref,
    Repeat,
    Text,
    TokenRef,
    Tokens,
    Whole,
)
from headrace.grammar.places import check_unicode
from headrace.grammar.regular.dialects import PYTHON
from headrace.grammar.regular.parsing import parse
from headrace.grammar.renaming import renamed
from headrace.grammar.shape import ROOT
from headrace.grammar.sources import HEADER, token_set
from headrace.grammar.values import Choice, Gbnf, JsonSchema, Regex, as_tuple, is_string


@attrs.frozen
class Trigger:
    """What wakes a dormant grammar; exactly one of the fields.

    Raises:
        GrammarError: If none is given, or several are.
    """

    word: str | None = attrs.field(
        default=None, kw_only=True, validator=attrs.validators.optional(is_string)
    )
    """A text that appears in the output; the grammar begins with it."""

    pattern: str | None = attrs.field(
        default=None, kw_only=True, validator=attrs.validators.optional(is_string)
    )
    """A regular expression found in the output; the grammar begins with its first group, or with
    the match. In the syntax of ECMAScript, without lookbehind and backreferences."""

    full_pattern: str | None = attrs.field(
        default=None, kw_only=True, validator=attrs.validators.optional(is_string)
    )
    """The same, but it has to match all that has been written."""

    token: int | None = attrs.field(default=None, kw_only=True)
    """Id of a token that is chosen; the grammar begins with it."""

    def __attrs_post_init__(self) -> None:
        """Check that there is one, and that it can be passed on."""
        given = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        if len(given) != 1:
            named = ", ".join(given) or "none of them"
            raise GrammarError(
                f"a Trigger has a word, a pattern, a full_pattern or a token; got {named}"
            )
        (name, text), *_ = given.items()
        if name == "token":
            if not isinstance(text, int) or isinstance(text, bool) or text < 0:
                raise GrammarError(f"Trigger.token must be a token id, got {text!r:.60}")
            return
        if not text or len(text) > MAX_TRIGGER:
            raise GrammarError(
                f"Trigger.{name} must have 1 to {MAX_TRIGGER} characters, got {len(text)}"
            )
        check_unicode("trigger", text)
        self.node()

    def node(self) -> Node | None:
        """What to look for in the output; None for a token."""
        if self.word is not None:
            return waking.word(self.word)
        full = self.full_pattern is not None
        pattern = self.full_pattern if full else self.pattern
        return None if pattern is None else waking.pattern(pattern, full=full)


MAX_TRIGGER = 1000
"""Most characters of a trigger."""


@attrs.frozen
class Lark:
    """A grammar in llguidance's own notation, a dialect of Lark's.

    The whole output matches its rule ``start``. Beside rules and terminals it may have ``%json``
    and ``%regex`` in them, and tokens as ``<[id]>`` or ``<name>``. What is read as one lexeme is
    the longest match, and there is no way back from it. A schema in it is read by llguidance
    alone, which passes over what it does not know: ``JsonSchema`` does not.

    Raises:
        GrammarError: With ``line`` and ``column``, if llguidance does not compile it.
    """

    text: str = attrs.field(validator=is_string)
    """The rules. What ``%llguidance`` says in them about forcing and UTF-8 is without effect."""

    def __attrs_post_init__(self) -> None:
        """Have it compiled."""
        check_unicode("grammar", self.text)
        if len(self.text) > MAX_LARK or self.text.count(":") > MAX_COLONS:
            raise GrammarError(
                f"a Lark grammar has up to {MAX_LARK} characters, {MAX_COLONS} of them colons"
            )
        told = library.refusal(self.source)
        if told is not None:
            place = re.match(r"(?:at )?([0-9]+)\(([0-9]+)\): ", told)
            line = int(place[1]) - HEADER.count("\n") if place else None
            column = int(place[2]) if place else None
            reason = told[place.end() :] if place else told
            at = f", line {line}, column {column}" if place else ""
            raise GrammarError(f"grammar{at}: {reason}", line=line, column=column)

    @property
    def source(self) -> str:
        """The same, and what it must not change at its end."""
        # Options are merged, and the last one counts.
        return f'{HEADER}{self.text}\n{HEADER[:-2]}, "allow_invalid_utf8": false}}\n'


MAX_LARK = 1 << 20
"""Longest text of a ``Lark``."""
MAX_COLONS = 10_000
"""Most colons in it: llguidance recurses from rule to rule and from ``$ref`` to ``$ref``, and each
has one."""

Content = Gbnf | Regex | Choice | JsonSchema | Lark
"""What a part of an output can be kept to."""


def _check_content(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, Content):
        raise GrammarError(
            f"{type(instance).__name__}.{field.name} must be a Gbnf, Regex, Choice, JsonSchema "
            f"or Lark, got {value!r:.60}"
        )
    if isinstance(value, Gbnf) and value.begun:
        raise GrammarError(
            f"{type(instance).__name__}.{field.name} cannot have begun before its trigger appears"
        )


def _marker(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    is_string(instance, field, value)
    name = f"{type(instance).__name__}.{field.name}"
    if not value or len(value) > MAX_TRIGGER:
        raise GrammarError(f"{name} must have 1 to {MAX_TRIGGER} characters, got {len(value)}")
    check_unicode(name, value)


@attrs.frozen
class Lazy:
    """A grammar that is dormant until a trigger appears in the output.

    Raises:
        GrammarError: If there is no trigger, or something else than a grammar; if a trigger is more
            than one character, and the grammar is a schema or a ``Lark``.
    """

    grammar: Content = attrs.field(validator=_check_content)
    """What the output matches from the trigger on."""

    triggers: tuple[Trigger, ...] = attrs.field(converter=as_tuple)
    """What wakes it, whichever is complete first."""

    _automaton: Automaton | None = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Check, and make what looks for the triggers."""
        triggers: Any = self.triggers
        good = isinstance(triggers, tuple) and all(isinstance(each, Trigger) for each in triggers)
        if not good or not triggers:
            raise GrammarError(
                f"Lazy.triggers must be a non-empty list of Trigger, got {triggers!r:.60}"
            )
        start, rules = _parts(self.grammar, "grammar")
        words = [each.word for each in triggers]
        found = None
        if not isinstance(start, Opaque):
            nodes = [node for each in triggers if (node := each.node()) is not None]
            found = automaton(nodes, rules, start)
        elif not all(word and len(word) == 1 for word in words):
            raise GrammarError(
                f"a {type(self.grammar).__name__} can be woken by words of one character alone",
                hint="StructuralTag and After have text before it that is no part of it.",
            )
        object.__setattr__(self, "_automaton", found)

    def __getstate__(self) -> dict[str, Any]:
        # Without the automaton, as Gbnf is without its rules.
        return {"grammar": self.grammar, "triggers": self.triggers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__attrs_post_init__()

    @property
    def source(self) -> str:
        """All of an output in llguidance's notation, of a vocabulary without special tokens."""
        return self.written(None)

    def written(self, tokens: Tokens | None, *, plain: bool = False) -> str:
        """The source, with tokens by their ids in a vocabulary; see ``lark.write``.

        A token that wakes does so as itself. Tokens without a text are free before the grammar
        begins, and no trigger goes on behind one.

        Raises:
            GrammarError: If it names a token that the vocabulary does not have, or if a token that
                wakes beside a text could be written as others.
        """
        start, made = _parts(self.grammar, "grammar")
        ids = [each.token for each in self.triggers if each.token is not None]
        _check_ids(ids, tokens, alone=len(ids) == len(self.triggers))
        silent = _silent(tokens, ids)
        text = self.grammar.text if isinstance(self.grammar, Gbnf) else ""
        later = Ref("free>later")
        after: list[Node] = [Chain((token_node(silent), later))] if silent else []
        if self._automaton is None:
            words = tuple((ord(each.word or ""), ord(each.word or "")) for each in self.triggers)
            before = Repeat(Whole(Repeat(CharSet(words, negated=True), 1, None)), 0, 1)
            made[later.name] = Chain((before, Repeat(Either((start, *after)), 0, 1)))
            return write(later, made, text, tokens, plain=plain)
        made[ROOT] = start
        ways: list[Node] = []
        for each in ids:
            rest = behind(Matcher(made, ROOT), each, tokens)
            if rest.options:
                ways.append(Chain((TokenRef(each), Whole(rest))))
        if len(ids) == len(self.triggers):
            # Nothing is looked for in the text: any other token is free, whatever it stands for.
            others = [*ids, *(tokens.ends if tokens else ())]
            free = Repeat(Opaque(lambda _: token_set(others, negated=True)), 0, None)
            start = Chain((free, Repeat(Either(tuple(ways)), 0, 1))) if ways else free
            return write(start, made, text, tokens, plain=plain)
        after += ways
        rests = _add_rests(made, self._automaton)
        first, _ = add_free(made, self._automaton, "free", rests, after, ends=True)
        return write(first, made, text, tokens, plain=plain)


@attrs.frozen
class Tag:
    """A part of a text that is kept to a grammar.

    Raises:
        GrammarError: If a text is empty, or the content is no grammar.
    """

    begin: str = attrs.field(validator=_marker, kw_only=True)
    """What it begins with."""

    content: Content = attrs.field(validator=_check_content, kw_only=True)
    """What follows."""

    end: str = attrs.field(validator=_marker, kw_only=True)
    """What it ends with. Of a ``Regex`` and a ``Choice`` the first one ends it."""


@attrs.frozen
class StructuralTag:
    """Free text with parts that are kept to grammars (XGrammar's and vLLM's ``structural_tag``).

    Raises:
        GrammarError: If there is no tag, or a tag begins with none of the triggers.
    """

    tags: tuple[Tag, ...] = attrs.field(converter=as_tuple)
    """The parts that there can be, any of them any number of times."""

    triggers: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, kw_only=True)
    """Texts that tags begin with: once one is written, one of these tags follows. None: what the
    tags begin with."""

    at_least_one: bool = attrs.field(
        default=False, kw_only=True, validator=attrs.validators.instance_of(bool)
    )
    """Whether the output has a tag."""

    stop_after_first: bool = attrs.field(
        default=False, kw_only=True, validator=attrs.validators.instance_of(bool)
    )
    """Whether the output ends with the first tag."""

    special_tokens: bool = attrs.field(
        default=False, kw_only=True, validator=attrs.validators.instance_of(bool)
    )
    """Let special tokens stand for their text, everywhere in the output."""

    _automaton: Automaton = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Check, and make what looks for the triggers."""
        tags: Any = self.tags
        if not isinstance(tags, tuple) or not tags or not all(isinstance(t, Tag) for t in tags):
            raise GrammarError(
                f"StructuralTag.tags must be a non-empty list of Tag, got {tags!r:.60}"
            )
        triggers: Any = self.triggers
        if not isinstance(triggers, tuple):
            raise GrammarError(
                f"StructuralTag.triggers must be a list of texts, got {triggers!r:.60}"
            )
        for trigger in triggers:
            _marker(self, attrs.fields(StructuralTag).triggers, trigger)
        triggers = triggers or tuple(dict.fromkeys(tag.begin for tag in tags))
        for index, tag in enumerate(tags):
            if not tag.begin.startswith(triggers):
                raise GrammarError(
                    f"StructuralTag.tags[{index}] begins with none of the triggers: {tag.begin!r}"
                )
        start, rules = self._tagged()
        words = [waking.word(trigger) for trigger in triggers]
        object.__setattr__(self, "_automaton", automaton(words, rules, start))

    def __getstate__(self) -> dict[str, Any]:
        # Without the automaton, as Gbnf is without its rules.
        return {
            each.name: getattr(self, each.name) for each in attrs.fields(type(self)) if each.init
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__attrs_post_init__()

    def _tagged(self) -> tuple[Node, dict[str, Node]]:
        """One of the tags, and the rules for it."""
        made: dict[str, Node] = {}
        options: list[Node] = []
        for index, tag in enumerate(self.tags):
            content, rules = _parts(tag.content, f"tag{index}")
            made.update(rules)
            ended: Node = Chain((content, Text(tag.end)))
            if isinstance(tag.content, (Regex, Choice)):
                ended = First(ended)
            options.append(Chain((Text(tag.begin), ended)))
        return Either(tuple(options)), made

    @property
    def source(self) -> str:
        """All of an output in llguidance's notation, of a vocabulary without special tokens."""
        return self.written(None)

    def written(self, tokens: Tokens | None, *, plain: bool = False) -> str:
        """The source, with tokens by their ids in a vocabulary; see ``lark.write``.

        Raises:
            GrammarError: If it names a token that the vocabulary does not have.
        """
        _, made = self._tagged()
        silent = _silent(tokens, [])
        found = self._automaton
        rests = _add_rests(made, found)
        if not self.stop_after_first:
            rests = [Chain((rest, Ref("free>later"))) for rest in rests]

        def after(name: str) -> list[Node]:
            return [Chain((token_node(silent), Ref(f"{name}>later")))] if silent else []

        first, _ = add_free(made, found, "free", rests, after("free"), ends=True)
        if self.at_least_one:
            first, _ = add_free(made, found, "none", rests, after("none"), ends=False)
        return write(first, made, "", tokens, plain=plain)


@attrs.frozen
class After:
    """Free text up to a marker, and then a grammar to the end: to reason first, and then answer.

    Raises:
        GrammarError: If the marker is empty, or what follows is no grammar.
    """

    text: str = attrs.field(validator=_marker)
    """The marker, such as ``</think>``: spelled out, or the one token that it names."""

    grammar: Content = attrs.field(validator=_check_content)
    """What follows it."""

    @property
    def source(self) -> str:
        """All of an output in llguidance's notation, of a vocabulary without special tokens."""
        return self.written(None)

    def written(self, tokens: Tokens | None, *, plain: bool = False) -> str:
        """The source, with tokens by their ids in a vocabulary; see ``lark.write``.

        Raises:
            GrammarError: If it names a token that the vocabulary does not have.
        """
        start, made = _parts(self.grammar, "grammar")
        made[ROOT] = start
        found = automaton([waking.marker(self.text)], {}, Chain(()))
        add_states(made, found)
        token = tokens.id_of(self.text) if tokens else None
        silent = _silent(tokens, [])
        after: list[Node] = []
        if token in silent:
            after.append(Chain((token_node([token]), Whole(start))))
        silent = [each for each in silent if each != token]
        if silent:
            after.append(Chain((token_node(silent), Ref("free>later"))))
        first, _ = add_free(made, found, "free", [Whole(start)], after, ends=False)
        return write(first, made, "", tokens, plain=plain)


Grammar = Gbnf | Regex | Choice | JsonSchema | Lazy | Lark | StructuralTag | After
"""What ``SamplingParams(grammar=…)`` takes."""


def sources_for(grammar: Grammar, tokens: Tokens) -> Iterator[str]:
    """A grammar in llguidance's notation, with tokens by their ids in a vocabulary.

    More than one source says the same: one that llguidance cannot compile has another behind it.

    Raises:
        GrammarError: If it names a token that the vocabulary does not have.
    """
    if isinstance(grammar, (Gbnf, Lazy, StructuralTag, After)):
        yield grammar.written(tokens)
        yield grammar.written(tokens, plain=True)
    else:
        yield grammar.source


def is_spoken(grammar: Grammar) -> bool:
    """Whether special tokens stand for their text."""
    inner = grammar.grammar if isinstance(grammar, Lazy) else grammar
    return isinstance(inner, (Gbnf, StructuralTag)) and inner.special_tokens


def token_node(ids: Sequence[int]) -> Node:
    """One of some tokens."""
    return Opaque(lambda _: token_set(ids))


def _parts(grammar: Content, name: str) -> tuple[Node, dict[str, Node]]:
    """A grammar as nodes, as far as it has some; its rules have the name before their own."""
    if isinstance(grammar, Gbnf):
        return renamed(grammar.start, grammar.rules, name)
    if isinstance(grammar, Choice):
        return Either(tuple(map(Text, dict.fromkeys(grammar.options)))), {}
    if isinstance(grammar, Regex):
        return waking.node(parse(grammar.pattern, PYTHON)), {}
    return Opaque(lambda _: f"%lark {{\n{grammar.source}}}"), {}


def _check_ids(ids: Sequence[int], tokens: Tokens | None, *, alone: bool) -> None:
    """Refuse tokens that cannot wake."""
    for token in ids if tokens else ():
        assert tokens is not None
        if token >= tokens.n_tokens:
            raise GrammarError(
                f"the trigger's token {token} is not in the vocabulary (0 … {tokens.n_tokens - 1})"
            )
        if token in tokens.ends:
            raise GrammarError(f"the trigger's token {token} ends the generation")
        if not alone and tokens.text_of(token) is not None:
            raise GrammarError(
                f"the trigger's token {token} has a text, and others look for theirs",
                hint="Trigger(word=…) with its text looks for what it writes.",
            )


def _silent(tokens: Tokens | None, triggers: Sequence[int]) -> list[int]:
    """Tokens that are free: those that no text stands for, but for the ends and what wakes."""
    unsaid = tokens.unsaid() if tokens else ()
    return sorted(set(unsaid).difference(tokens.ends if tokens else (), triggers))


def _add_rests(made: dict[str, Node], found: Automaton) -> list[Node]:
    """Add what is left of a grammar behind the triggers to its rules, and refer to it."""
    add_states(made, found)
    made.update((f"rest>{k}", rest) for k, rest in enumerate(found.rests))
    return [Whole(Ref(f"rest>{k}")) for k in range(len(found.rests))]
