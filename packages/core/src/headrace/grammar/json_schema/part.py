"""One schema of a document while it is rewritten, and what the parts of its rewriting ask for."""

from __future__ import annotations

from typing import Any, Protocol

from headrace.errors import GrammarError
from headrace.grammar.json_schema import keywords
from headrace.grammar.json_schema.negation import negated
from headrace.grammar.json_schema.numbers import is_number
from headrace.grammar.json_schema.reading import below

MAX_COUNT = 1_000_000
"""Largest limit of a length or a number of things; what may be more is taken for this."""


class Document(Protocol):
    """What the whole of a schema does for its parts."""

    strict: bool
    """Whether to refuse what is not enforced."""
    escapes: bool
    """Whether strings may have escapes with four digits."""
    divisors: set[Any]
    """The numbers of ``multipleOf``."""

    def error(self, path: str, message: str, hint: str | None = None) -> GrammarError:
        """What is wrong at a place."""
        ...

    def unenforced(
        self, path: str, what: str, hint: str | None = None, *, as_it_is: bool = False
    ) -> None:
        """Refuse what cannot be enforced, if the caller wants it all enforced."""
        ...

    def never(self, path: str, message: str) -> bool:
        """The schema that nothing is valid under, and why."""
        ...

    def schema(self, node: Any, path: str, base: str, above: str, depth: int) -> Any:
        """A schema rewritten: a dict or a bool."""
        ...

    def resolved(self, node: dict[str, Any], base: str) -> Any:
        """What a schema with nothing but a reference leads to; None: not to be told."""
        ...

    def count_values(self, path: str, n_values: int) -> None:
        """Keep the number of constants within bounds."""
        ...

    def is_passed_over(self, path: str) -> bool:
        """Whether a keyword is left out."""
        ...


class Part:
    """One schema that is an object, while it is rewritten."""

    def __init__(
        self, document: Document, node: dict[str, Any], path: str, base: str, depth: int
    ) -> None:
        self.document = document
        self.path = path
        self.base = base
        self.depth = depth
        self.out: dict[str, Any] = {}
        """What is written, of keywords that stand beside each other."""
        self.more: list[Any] = []
        """Schemas that have to be valid as well."""
        self.node = {
            key: value
            for key, value in node.items()
            if not document.is_passed_over(below(path, key))
        }
        self.kinds = self._read_types()

    def path_of(self, *keys: str) -> str:
        """The path of what stands under some keys."""
        path = self.path
        for key in keys:
            path = below(path, key)
        return path

    def below(self, node: Any, *keys: str) -> Any:
        """A schema under some keys rewritten."""
        path = self.path_of(*keys)
        return self.document.schema(node, path, self.base, self.path, self.depth + 1)

    def get(self, key: str, default: Any) -> Any:
        """The schema under a key rewritten."""
        return self.below(self.node[key], key) if key in self.node else default

    def unenforced(self, key: str, what: str, hint: str | None = None) -> None:
        """Refuse a keyword that cannot be enforced."""
        self.document.unenforced(f"{self.path}/{key}", what, hint)

    def error(self, key: str, message: str) -> GrammarError:
        """What is wrong with a keyword."""
        return self.document.error(f"{self.path}/{key}", message)

    def narrow(self, schema: Any, kind: str | None = None) -> None:
        """Have another schema hold as well.

        Args:
            schema: As it is written.
            kind: The type that it speaks of, if it has nothing to say of other types.
        """
        others = [each for each in self.kinds if each != kind]
        if kind is not None and others:
            schema = {"anyOf": [schema, {"type": others}]}
        self.more.append(schema)

    def number(self, key: str, *above: str) -> Any:
        """The number under a key."""
        value = self._within(above)[key]
        if not is_number(value):
            raise self._wrong(key, above, f"must be a number, got {value!r:.60}")
        return value

    def limits(self, name: str, *above: str) -> tuple[int, int | None]:
        """The limits of a length or a number of things: the most may be unlimited.

        Args:
            name: What there is a least and a most of.
            above: Keys of the schema in this one that has them; without any it is this one.
        """
        found: list[int | None] = []
        for key in (f"min{name}", f"max{name}"):
            if key not in self._within(above):
                found.append(None)
                continue
            value = self.number(key, *above)
            if not isinstance(value, int) or value < 0:
                raise self._wrong(key, above, f"must be a whole number ≥ 0, got {value}")
            found.append(value)
        low, high = found[0] or 0, found[1]
        if high is not None and high < low:
            place = self.path_of(*above, f"max{name}")
            self.document.never(place, f"is {high}, less than min{name}, {low}")
        if low > MAX_COUNT:
            raise self._wrong(f"min{name}", above, f"must be at most {MAX_COUNT}, got {low}")
        return low, None if high is None else min(high, MAX_COUNT)

    def _within(self, above: tuple[str, ...]) -> dict[str, Any]:
        node = self.node
        for key in above:
            node = node[key]
        return node

    def _wrong(self, key: str, above: tuple[str, ...], message: str) -> GrammarError:
        return self.document.error(self.path_of(*above, key), message)

    def _read_types(self) -> list[str]:
        named = self.node.get("type", list(keywords.TYPES))
        kinds = named if isinstance(named, list) else [named]
        for kind in kinds:
            if kind not in keywords.TYPES or not isinstance(kind, str):
                names = ", ".join(keywords.TYPES)
                raise self.error("type", f"must be one of {names}, got {kind!r:.60}")
        return list(dict.fromkeys(kinds))

    def opposite(self, node: Any) -> Any:
        """A schema that is valid only where another is not, not rewritten; None: none is known."""
        return negated(node, lambda reference: self.document.resolved(reference, self.base))
