"""Schemas in the words that llguidance understands as they are meant.

Nothing is passed on as it stands. Each keyword is read, checked and written anew, in the order of
its author, references by new names; what has no such words is refused, or left out if the caller
checks the output.
"""

from __future__ import annotations

from typing import Any

import attrs

from headrace.errors import GrammarError
from headrace.grammar.json_schema import alternatives, keywords, values
from headrace.grammar.json_schema.arrays import write_array
from headrace.grammar.json_schema.negation import NotIn
from headrace.grammar.json_schema.objects import Objects
from headrace.grammar.json_schema.part import Part
from headrace.grammar.json_schema.reading import refusal
from headrace.grammar.json_schema.references import References
from headrace.grammar.json_schema.strings import other_than, write_string

MAX_DEPTH = 64
"""Most schemas within each other."""
MAX_CHAIN = 3000
"""Most schemas within each other, when references are followed: llguidance recurses."""
MAX_SCHEMAS = 10_000
"""Most schemas in all."""
CHECK = "Leave it out, or pass strict=False and check the output."

_ORDERING = {"$ref", "allOf", "anyOf", "oneOf", "properties"}
"""Which of these comes first has its properties written first."""


@attrs.frozen
class Written:
    """What became of one schema."""

    path: str
    above: str
    """Path of the schema that it is in."""
    schema: Any


class Rewriter:
    """Rewrites one document.

    Args:
        document: As ``read_schema`` gives it.
        strict: Whether to refuse what is not enforced.
        escapes: Whether strings may have escapes with four digits.
        passed_over: Keywords, by their paths, that are left out.
    """

    def __init__(
        self, document: Any, *, strict: bool, escapes: bool, passed_over: frozenset[str]
    ) -> None:
        self.strict = strict
        self.escapes = escapes
        self.written: list[Written] = []
        self.impossible: list[GrammarError] = []
        """Why some of the schemas are valid for nothing."""
        self.divisors: set[Any] = set()
        self._passed_over = passed_over
        self._document = document
        self._references = References(document)
        self._names: dict[str, str] = {}
        self._waiting: list[tuple[str, Any, str, str]] = []
        self._choices: list[alternatives.Choice] = []
        self._n_values = 0
        self._chain = 0
        self._deepest = 0

    def whole(self) -> dict[str, Any]:
        """The document rewritten.

        Raises:
            GrammarError: With the place of what is wrong, or is not enforced.
        """
        root = self.schema(self._document, "#", "", "", 0)
        found: dict[str, Any] = {}
        while self._waiting or self._choices:
            self._chain += self._deepest + 1
            self._deepest = 0
            if self._chain > MAX_CHAIN:
                raise self.error("#", f"more than {MAX_CHAIN} schemas within each other")
            if self._waiting:
                name, node, path, base = self._waiting.pop()
                found[name] = self.schema(node, path, base, path, 0)
            else:
                alternatives.decide(self._choices.pop(), found)
        if root is True:
            root = {}
        if root is False:
            raise self.nothing("#", "nothing is valid under it")
        return {**root, "$defs": found} if found else root

    # -- errors ------------------------------------------------------------

    def error(self, path: str, message: str, hint: str | None = None) -> GrammarError:
        """What is wrong at a place."""
        return refusal(path, message, hint)

    def unenforced(
        self, path: str, what: str, hint: str | None = None, *, as_it_is: bool = False
    ) -> None:
        """Refuse what cannot be enforced, if the caller wants it all enforced."""
        if self.strict:
            message = what if as_it_is else f"{what} cannot be kept to by a grammar"
            raise self.error(path, message, f"{hint} {CHECK}" if hint else CHECK)

    def never(self, path: str, message: str) -> bool:
        """The schema that nothing is valid under, and why."""
        self.impossible.append(self.error(path, message))
        return False

    def nothing(self, path: str, reason: str) -> GrammarError:
        """Why nothing is valid under a place, on which all depends."""
        places = {path, *(f"{path}/{key}" for key in ("type", "maxLength", "maxItems"))}
        places.add(f"{path}/maxProperties")
        known = [error for error in self.impossible if error.path in places]
        return known[0] if known else self.error(path, reason)

    # -- schemas -----------------------------------------------------------

    def schema(self, node: Any, path: str, base: str, above: str, depth: int) -> Any:
        """A schema rewritten: a dict or a bool.

        Args:
            node: The schema.
            path: Its place.
            base: What references in it are relative to.
            above: Path of the schema that it is in.
            depth: How many schemas it is within.
        """
        self._deepest = max(self._deepest, depth)
        if depth > MAX_DEPTH:
            raise self.error(path, f"more than {MAX_DEPTH} schemas within each other")
        if len(self.written) >= MAX_SCHEMAS:
            raise self.error(path, f"more than {MAX_SCHEMAS} schemas")
        if isinstance(node, NotIn):
            found: Any = {
                "type": "string",
                "pattern": other_than(node.texts, escapes=self.escapes),
            }
        elif isinstance(node, dict):
            found = _Whole(self, node, path, self._references.base(path, base), depth).write()
        elif node is False:
            found = self.never(path, "nothing is valid under it")
        elif node is True:
            found = True
        else:
            raise self.error(path, f"a schema is an object or a bool, got {node!r:.60}")
        self.written.append(Written(path, above, found))
        return found

    def reference(self, reference: Any, base: str, path: str) -> str:
        """The new name of what a reference leads to."""
        node, at, base = self._references.target(reference, base, path)
        if at not in self._names:
            self._names[at] = f"{len(self._names)}"
            self._waiting.append((self._names[at], node, at, base))
        return f"#/$defs/{self._names[at]}"

    def resolved(self, node: dict[str, Any], base: str) -> Any:
        """What a schema with nothing but a reference leads to; None: not to be told."""
        try:
            target, _, there = self._references.target(node["$ref"], base, "#")
        except GrammarError:
            return None
        return target if there == base else None

    def count_values(self, path: str, n_values: int) -> None:
        """Keep the number of constants within bounds."""
        self._n_values += n_values
        if self._n_values > values.MAX_VALUES:
            raise self.error(path, f"more than {values.MAX_VALUES} values in enumerations")

    def choose_one(self, choice: alternatives.Choice) -> None:
        """Look later whether two of the alternatives can be valid at once."""
        self._choices.append(choice)

    def is_passed_over(self, path: str) -> bool:
        """Whether a keyword is left out."""
        return path in self._passed_over


class _Whole(Part):
    """A schema with all that it says."""

    def __init__(
        self, rewriter: Rewriter, node: dict[str, Any], path: str, base: str, depth: int
    ) -> None:
        super().__init__(rewriter, node, path, base, depth)
        self._rewriter = rewriter
        self._check_keys()

    def write(self) -> Any:
        """The schema rewritten."""
        node, out = self.node, self.out
        if not self.kinds:
            return self._rewriter.never(f"{self.path}/type", "no type is left")
        if "type" in node:
            out["type"] = self.kinds[0] if len(self.kinds) == 1 else self.kinds
        first = next((key for key in node if key in _ORDERING), None)
        if first != "properties":
            self._write_applicators()
        self._write_values()
        if first == "properties":
            self._write_applicators()
        self._write_negations()
        if self.more:
            return {"allOf": [out, *self.more]} if out else {"allOf": self.more}
        return out or True

    def _check_keys(self) -> None:
        for key in self.node:
            if key in keywords.ENFORCED or key in keywords.REMARKS or key in keywords.REWRITTEN:
                continue
            harmless = keywords.NO_EFFECT.get(key)
            if harmless is not None:
                alone = key in {"minContains", "maxContains"} and "contains" not in self.node
                few = key == "uniqueItems" and self.node.get("maxItems") in (0, 1)
                apart = key == "unevaluatedProperties" and (
                    # Where the first is, nothing is left unevaluated.
                    "additionalProperties" in self.node or keywords.EVALUATING.isdisjoint(self.node)
                )
                if not (alone or few or apart or any(self.node[key] is v for v in harmless)):
                    self._refuse_keyword(key)
                continue
            meant = keywords.meant(key)
            if meant is not None and meant not in self.node:
                self.unenforced(key, f"{key!r}, which is no keyword,", f"Is it {meant!r}?")

    def _refuse_keyword(self, key: str) -> None:
        if self.node[key] == {} and keywords.NO_EFFECT[key]:
            return
        self.unenforced(key, f"the keyword {key!r}", keywords.HINTS.get(key))

    def _write_values(self) -> None:
        values.write_constants(self)
        if {"number", "integer"} & set(self.kinds):
            values.write_numbers(self)
        if "string" in self.kinds:
            write_string(self)
        if "array" in self.kinds:
            write_array(self)
        if "object" in self.kinds:
            Objects(self).write()

    def _write_applicators(self) -> None:
        for key in self.node:
            if key == "$ref":
                name = self._rewriter.reference(self.node[key], self.base, f"{self.path}/$ref")
                self.out["$ref"] = name
            elif key == "allOf":
                self.out["allOf"] = self._branches(key)
            elif key in {"anyOf", "oneOf"}:
                branches = self._branches(key)
                there = self.out if "anyOf" not in self.out else {}
                there["anyOf"] = branches
                if there is not self.out:
                    self.more.append(there)
                if key == "oneOf":
                    choice = alternatives.Choice(self, branches)
                    self._rewriter.choose_one(choice)

    def _branches(self, key: str) -> list[Any]:
        schemas = self.node[key]
        if not isinstance(schemas, list) or not schemas:
            raise self.error(key, f"must be a non-empty list of schemas, got {schemas!r:.60}")
        return [self.below(each, key, str(index)) for index, each in enumerate(schemas)]

    def _write_negations(self) -> None:
        if "not" in self.node:
            opposite = self.opposite(self.node["not"])
            if opposite is None:
                self.unenforced("not", "the keyword 'not' with this schema")
            elif opposite is not True:
                self.more.append(self.below(opposite, "not"))
        if "if" in self.node and ("then" in self.node or "else" in self.node):
            opposite = self.opposite(self.node["if"])
            if opposite is None:
                self.unenforced("if", "the keyword 'if' with this schema")
                return
            then = {"allOf": [self.get("if", True), self.get("then", True)]}
            other = {"allOf": [self.below(opposite, "if"), self.get("else", True)]}
            self.more.append({"anyOf": [then, other]})
