"""What a caller constrains the output with; ``composed`` has what is made of these.

Everything is checked and converted when the object is made, so that a mistake is an error
in the line that made it, with the place, before a backend sees anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from headrace.errors import GrammarError
from headrace.grammar.checks import check_rules
from headrace.grammar.derivative import Matcher, remaining
from headrace.grammar.gbnf import parse_gbnf
from headrace.grammar.lark import write
from headrace.grammar.nodes import Node, Ref, Tokens
from headrace.grammar.places import check_unicode
from headrace.grammar.shape import MANY


def is_string(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Refuse what is no text."""
    if not isinstance(value, str):
        kind = type(instance).__name__
        raise GrammarError(f"{kind}.{field.name} must be a str, got {type(value).__name__}")


def as_tuple(value: Any) -> Any:
    """A list as a tuple; what is no list is left to the validator."""
    return tuple(value) if isinstance(value, (list, tuple)) else value


@attrs.frozen
class Gbnf:
    """A grammar in llama.cpp's notation.

    Raises:
        GrammarError: If it cannot be parsed (with ``line`` and ``column``), refers to a rule
            that there is not, is left-recursive, never ends or is too large.
    """

    text: str = attrs.field(validator=is_string)
    """The rules, ``name ::= …`` (llama.cpp's ``grammars/README.md``)."""

    root: str = attrs.field(default="root", validator=is_string)
    """The rule that the whole output is to match."""

    special_tokens: bool = attrs.field(
        default=False, kw_only=True, validator=attrs.validators.instance_of(bool)
    )
    """Let special tokens such as ``<tool_call>`` stand for their text, as llama.cpp does: their
    text is then not part of the stream's. Off: only those named as ``<[id]>`` or ``<text>``."""

    begun: str = attrs.field(default="", kw_only=True, validator=is_string)
    """The beginning of what ``root`` matches that is written already, at the end of the prompt."""

    loose: bool = attrs.field(
        default=False, kw_only=True, validator=attrs.validators.instance_of(bool)
    )
    """Let a repetition without an end repeat what may be empty, as llama.cpp's grammars of chat
    formats do."""

    _rules: dict[str, Node] = attrs.field(init=False, repr=False, eq=False)
    _start: Node = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Parse and check."""
        rules = parse_gbnf(self.text)
        check_rules(rules, self.root, self.text, loose=self.loose)
        check_unicode("text", self.begun)
        begun = Matcher(rules, self.root)
        if not begun.feed(self.begun):
            raise GrammarError("Gbnf.begun: what is begun is no beginning of it")
        object.__setattr__(self, "_rules", rules)
        object.__setattr__(
            self, "_start", remaining(begun.places) if self.begun else Ref(self.root)
        )
        if len(rules) >= MANY:
            self.written(None)  # refuses what is too deep

    def __getstate__(self) -> dict[str, Any]:
        # Without the rules: they nest deeper than a copy can follow, and the text has them.
        return {each.name: getattr(self, each.name) for each in attrs.fields(Gbnf) if each.init}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__attrs_post_init__()

    @property
    def rules(self) -> Mapping[str, Node]:
        """The rules as parsed."""
        return self._rules

    @property
    def source(self) -> str:
        """The same in llguidance's notation, behind what is begun; tokens by what names them."""
        return self.written(None)

    def written(self, tokens: Tokens | None, *, plain: bool = False) -> str:
        """The source, with tokens by their ids in a vocabulary; see ``lark.write``.

        Raises:
            GrammarError: If it names a token that the vocabulary does not have.
        """
        return write(self._start, self._rules, self.text, tokens, plain=plain)

    @property
    def start(self) -> Node:
        """What the output begins with: the root, or what is left of it behind what is begun."""
        return self._start


@attrs.frozen
class Regex:
    """The whole output matches a regular expression, as with ``re.fullmatch`` and ``re.ASCII``.

    The syntax is Python's, without lookaround, backreferences, possessive and atomic parts,
    word boundaries and flags.

    Raises:
        GrammarError: With the position of what cannot be converted.
    """

    pattern: str = attrs.field(validator=is_string)
    """The expression. ``^`` and ``$`` at its ends change nothing."""

    source: str = attrs.field(init=False, repr=False, eq=False)
    """The same in llguidance's notation."""

    def __attrs_post_init__(self) -> None:
        """Convert."""
        from headrace.grammar.regular.whole import regex_source

        object.__setattr__(self, "source", regex_source(self.pattern))


@attrs.frozen
class Choice:
    """The output is one of a few texts.

    Raises:
        GrammarError: If there are none, or one of them is no text.
    """

    options: tuple[str, ...] = attrs.field(converter=as_tuple)
    """The texts."""

    source: str = attrs.field(init=False, repr=False, eq=False)
    """The same in llguidance's notation."""

    def __attrs_post_init__(self) -> None:
        """Check and convert."""
        from headrace.grammar.sources import choice_source

        options: Any = self.options
        if not isinstance(options, tuple) or not options:
            raise GrammarError(
                f"Choice.options must be a non-empty list of texts, got {options!r:.60}"
            )
        for index, option in enumerate(options):
            if not isinstance(option, str) or not option:
                raise GrammarError(
                    f"Choice.options[{index}] must be a non-empty str, got {option!r:.60}"
                )
            check_unicode("text", option)
        object.__setattr__(self, "source", choice_source(dict.fromkeys(options)))


def _as_json(value: Any) -> str:
    import json

    if isinstance(value, str):
        return value
    if not isinstance(value, (dict, bool)):
        raise GrammarError(
            f"JsonSchema.schema must be a dict, a bool or JSON text, got {type(value).__name__}"
        )
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise GrammarError(f"JsonSchema.schema is no JSON: {error}") from None


@attrs.frozen
class JsonSchema:
    """The output is JSON that is valid under a schema (https://json-schema.org, draft 2020-12).

    Raises:
        GrammarError: With ``path``, the place in the schema that cannot be converted: a keyword
            that a grammar cannot express, a reference to nothing, a value of a wrong type.
    """

    schema: str = attrs.field(converter=_as_json)
    """The schema as JSON text. Made from a dict or from ``True`` (any JSON) too."""

    strict: bool = attrs.field(
        default=True, kw_only=True, validator=attrs.validators.instance_of(bool)
    )
    """Refuse keywords that the grammar would not enforce (``multipleOf``, ``uniqueItems``, …);
    False: ignore them, and check the output."""

    source: str = attrs.field(init=False, repr=False, eq=False)
    """The same in llguidance's notation."""

    def __attrs_post_init__(self) -> None:
        """Convert."""
        from headrace.grammar.json_schema.compiling import schema_source

        source = schema_source(self.schema, strict=self.strict)
        object.__setattr__(self, "source", source)
