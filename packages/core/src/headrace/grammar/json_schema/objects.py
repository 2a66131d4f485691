"""Objects of schemas: their properties, how many, and what depends on their being there."""

from __future__ import annotations

from typing import Any

from headrace.errors import GrammarError
from headrace.grammar.json_schema import keywords
from headrace.grammar.json_schema.part import Part
from headrace.grammar.json_schema.strings import name_pattern

MAX_PROPERTIES = 2000
"""Most properties of an object."""
MAX_PATTERNS = 64
"""Most patterns of names of an object: each is compared with each other."""
MAX_CHOICES = 16
"""Most properties of which one has to be there."""
MAX_DEPENDENCIES = 8
"""Most properties that others depend on: each doubles the object."""


class Leak(Exception):
    """A name could be written with escapes, and not be known for what it is."""


class Objects:
    """Rewrites what a schema says of objects.

    Args:
        part: The schema.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._node = part.node
        self._properties = self._named("properties")
        self._patterns = self._by_pattern()
        self._required = self._names("required")
        self._extra: Any = part.get("additionalProperties", True)
        if "additionalProperties" not in self._node:
            self._extra = self._unevaluated()

    def write(self) -> None:
        """Put it into the part's output."""
        out, node = self._part.out, self._node
        if len(self._properties) + len(self._required) > MAX_PROPERTIES:
            raise self._part.document.error(
                self._part.path, f"more than {MAX_PROPERTIES} properties of an object"
            )
        if len(self._patterns) > MAX_PATTERNS:
            raise self._part.document.error(
                self._part.path, f"more than {MAX_PATTERNS} patterns of names of an object"
            )
        self._write_counts()
        named = self._patterns or any(part is not True for part in self._properties.values())
        counted = "minProperties" in out
        if self._part.document.escapes and self._extra is not False and (named or counted):
            raise Leak
        out.update({"properties": self._properties} if self._properties else {})
        out.update({"patternProperties": self._patterns} if self._patterns else {})
        out.update({"additionalProperties": self._extra} if self._extra is not True else {})
        out.update({"required": self._required} if self._required else {})
        if "propertyNames" in node:
            self._write_names(node["propertyNames"])
        self._write_dependencies()

    # -- reading -----------------------------------------------------------

    def _unevaluated(self) -> Any:
        alone = keywords.EVALUATING.isdisjoint(self._node)
        return self._part.get("unevaluatedProperties", True) if alone else True

    def _named(self, key: str) -> dict[str, Any]:
        schemas = self._node.get(key, {})
        if not isinstance(schemas, dict):
            raise self._part.document.error(
                f"{self._part.path}/{key}", "must be an object of schemas"
            )
        return {name: self._part.below(schemas[name], key, name) for name in schemas}

    def _by_pattern(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for pattern, part in self._named("patternProperties").items():
            path = self._part.path_of("patternProperties", pattern)
            try:
                name = name_pattern(pattern)
            except GrammarError as error:
                self._part.document.unenforced(path, error.message, error.hint, as_it_is=True)
                continue
            if name in found:
                part = {"allOf": [found[name], part]}
            found[name] = part
        return found

    def _names(self, key: str, of: Any = None) -> list[str]:
        names = self._node.get(key, []) if of is None else of
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._part.error(key, "must be a list of names")
        return list(dict.fromkeys(names))

    # -- how many ----------------------------------------------------------

    def _write_counts(self) -> None:
        part, out = self._part, self._part.out
        low, high = part.limits("Properties")
        n_required = len(self._required)
        optional = [
            name
            for name, schema in self._properties.items()
            if name not in self._required and schema is not False
        ]
        is_open = self._extra is not False or bool(self._patterns)
        low = 0 if low <= n_required else low
        if high is not None and not is_open and high >= n_required + len(optional):
            high = None
        if high is not None and high == n_required and not self._patterns:
            for name in self._required:
                self._properties.setdefault(name, self._extra)
            self._properties.update(dict.fromkeys(optional, False))
            self._extra, is_open, optional, high = False, False, [], None
        if not optional:
            if low > n_required + 1 and is_open:
                part.unenforced("minProperties", "more than one name that is not required")
                low = n_required + 1
        elif not is_open and low <= n_required + 1 and high in {None, n_required + 1}:
            pass  # llguidance lists the possibilities
        elif high is None and low == n_required + 1 and len(optional) <= MAX_CHOICES:
            choices = [{"type": "object", "required": [name]} for name in optional]
            part.narrow({"anyOf": choices}, "object")
            low = 0
        else:
            for key, given in (("minProperties", low > 0), ("maxProperties", high is not None)):
                if given:
                    part.unenforced(key, f"{key!r} beside properties that are not required")
            low, high = 0, None
        out.update({"minProperties": low} if low else {})
        out.update({"maxProperties": high} if high is not None else {})

    # -- names and dependencies --------------------------------------------

    def _write_names(self, names: Any) -> None:
        part = self._part
        if names is True or names in ({}, {"type": "string"}):
            return
        if names is False:
            part.narrow({"type": "object", "maxProperties": 0}, "object")
            return
        keys = set(names) - {"type", "description", "title", "$comment"} if names else set()
        if isinstance(names, dict) and names.get("type", "string") == "string":
            if keys and keys <= {"minLength", "maxLength"}:
                self._write_pattern_of_names(_of_length(*part.limits("Length", "propertyNames")))
                return
            if keys == {"pattern"} and isinstance(names["pattern"], str):
                self._write_pattern_of_names(names["pattern"])
                return
            values = names.get("enum") if "enum" in names else [names.get("const")]
            if keys in ({"enum"}, {"const"}) and isinstance(values, list):
                texts = [name for name in values if isinstance(name, str)]
                closed = {"type": "object", "properties": dict.fromkeys(texts, True), **_CLOSED}
                part.narrow(closed, "object")
                return
        part.unenforced("propertyNames", "'propertyNames' with more than a pattern or an enum")

    def _write_pattern_of_names(self, pattern: str) -> None:
        try:
            known = {name_pattern(pattern): True}
        except GrammarError as error:
            path = self._part.path_of("propertyNames")
            self._part.document.unenforced(path, error.message, error.hint, as_it_is=True)
            return
        closed = {"type": "object", "patternProperties": known, **_CLOSED}
        self._part.narrow(closed, "object")

    def _write_dependencies(self) -> None:
        given = [
            (key, name, wanted)
            for key in ("dependencies", "dependentRequired", "dependentSchemas")
            for name, wanted in self._mapping(key).items()
            if wanted not in ([], {}, True)
        ]
        if len(given) > MAX_DEPENDENCIES:
            self._part.unenforced(given[0][0], f"more than {MAX_DEPENDENCIES} dependencies")
            return
        if given and self._part.document.escapes and self._extra is not False:
            raise Leak
        for key, name, wanted in given:
            without = {"type": "object", "properties": {name: False}}
            if isinstance(wanted, list):
                needed: Any = {"type": "object", "required": self._names(key, wanted)}
            else:
                needed = self._part.below(wanted, key, name)
            self._part.narrow({"anyOf": [without, needed]}, "object")

    def _mapping(self, key: str) -> dict[str, Any]:
        found = self._node.get(key, {})
        if not isinstance(found, dict):
            raise self._part.error(key, "must be an object")
        return found


def _of_length(low: int, high: int | None) -> str:
    return f"^[^]{{{low},{'' if high is None else high}}}$"


_CLOSED = {"additionalProperties": False}
