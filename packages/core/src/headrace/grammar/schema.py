"""JSON schemas to grammars.

What is written is valid under the schema; not everything that is valid can be written:
properties come in the order of the schema, those it does not name only where
``additionalProperties`` asks for them, and a keyword without ``type`` chooses the type. What a
grammar cannot say (``multipleOf``, ``uniqueItems``, ``not``, …) is an error with its place in
the schema, or passed over if the caller says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from headrace.errors import GrammarError
from headrace.grammar import json_numbers, json_strings
from headrace.grammar.builder import either, seq, times
from headrace.grammar.gbnf import MAX_REPEATS
from headrace.grammar.merge import Schema, constants, merge, never_both, same, types_of
from headrace.grammar.nodes import CharSet, Node, Ref
from headrace.grammar.notation import write_gbnf
from headrace.grammar.places import check_unicode

MAX_CHARACTERS = 1 << 18
"""Longest schema, as JSON text."""
MAX_DEPTH = 64
"""Most schemas within each other."""

MAX_SCHEMAS = 10_000
"""Most schemas in all; where a reference stands beside other keywords, its target counts again."""

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_BY_KEYWORD = {
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "additionalItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
}
_NOT_ENFORCED = {
    "multipleOf",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
    "$dynamicRef",
    "$recursiveRef",
}
_NO_EFFECT: dict[str, object] = {"multipleOf": 1, "uniqueItems": False}
_SPACE = either(seq(), " ", seq("\n", times(CharSet(((0x20, 0x20), (0x09, 0x09))), 0, 20)))


def schema_to_gbnf(text: str, *, strict: bool) -> str:
    """A grammar for JSON that is valid under a schema.

    Raises:
        GrammarError: With the place in the schema of what cannot be converted.
    """
    check_unicode("schema", text)
    if len(text) > MAX_CHARACTERS:
        raise GrammarError(
            f"the schema has {len(text)} characters; at most {MAX_CHARACTERS} are allowed"
        )
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        raise GrammarError(
            f"the schema is no JSON: {error}", line=error.lineno, column=error.colno
        ) from None
    except RecursionError:
        raise GrammarError("the schema is nested too deeply", path="#") from None
    converter = _Converter(schema, strict=strict)
    root = converter.convert(schema, "#", 0)
    return write_gbnf({"root": root, **converter.rules})


class _Converter:
    def __init__(self, document: Any, *, strict: bool) -> None:
        self.rules: dict[str, Node] = {"space": _SPACE, "char": json_strings.CHARACTER}
        self._document = document
        self._strict = strict
        self._refs: dict[str, str] = {}
        self._n_converted = 0

    # -- errors ------------------------------------------------------------

    def _error(self, path: str, message: str, hint: str | None = None) -> GrammarError:
        return GrammarError(f"schema, {path}: {message}", path=path, hint=hint)

    def _unenforced(self, path: str, what: str) -> None:
        if self._strict:
            raise self._error(
                path,
                f"{what} cannot be kept to by a grammar",
                "Leave it out, or pass strict=False and check the output.",
            )

    def _number(self, schema: Schema, key: str, path: str) -> Decimal | None:
        value = schema.get(key)
        if value is None and key not in schema:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._error(f"{path}/{key}", f"must be a number, got {value!r:.60}")
        number = Decimal(str(value))
        if not number.is_finite():
            raise self._error(f"{path}/{key}", f"must be a finite number, got {value!r}")
        return number

    def _count(self, schema: Schema, key: str, path: str) -> int | None:
        number = self._number(schema, key, path)
        if number is None:
            return None
        if number < 0 or number != int(number):
            raise self._error(f"{path}/{key}", f"must be a whole number ≥ 0, got {number}")
        if number > MAX_REPEATS:
            if key.startswith("max"):
                self._unenforced(f"{path}/{key}", f"a limit of more than {MAX_REPEATS}")
                return None
            raise self._error(f"{path}/{key}", f"must be at most {MAX_REPEATS}, got {number}")
        return int(number)

    def _limits(self, schema: Schema, name: str, path: str) -> tuple[int, int | None]:
        low = self._count(schema, f"min{name}", path) or 0
        high = self._count(schema, f"max{name}", path)
        if high is not None and high < low:
            raise self._error(f"{path}/max{name}", f"is {high}, less than min{name}, {low}")
        return low, high

    # -- schemas -----------------------------------------------------------

    def convert(self, schema: Any, path: str, depth: int) -> Node:
        """The grammar of a schema."""
        if depth > MAX_DEPTH:
            raise self._error(path, f"more than {MAX_DEPTH} schemas within each other")
        self._n_converted += 1
        if self._n_converted > MAX_SCHEMAS:
            raise self._error(path, f"more than {MAX_SCHEMAS} schemas")
        if schema is True:
            return self._shared("value", self._value)
        if schema is False:
            raise self._error(path, "nothing is valid under it")
        if not isinstance(schema, dict):
            raise self._error(path, f"a schema is an object or a bool, got {schema!r:.60}")
        for key in schema:
            if key in _NOT_ENFORCED and not same(schema[key], _NO_EFFECT.get(key, ...)):
                self._unenforced(f"{path}/{key}", f"the keyword {key!r}")
        self._check_choices(schema, path)
        return self._whole(schema, path, depth)

    def _check_choices(self, schema: Schema, path: str) -> None:
        """Refuse a type or an enumeration that is none, whatever stands beside it."""
        if "type" in schema:
            self._kinds(schema, path)
        if not isinstance(schema.get("enum", []), list):
            raise self._error(f"{path}/enum", f"must be a list, got {schema['enum']!r:.60}")

    def _whole(self, schema: Schema, path: str, depth: int) -> Node:
        rest = dict(schema)
        if "$ref" in schema:
            target, name = self._target(rest.pop("$ref"), f"{path}/$ref")
            if not self._says_something(rest):
                return self._reference(name, target, depth)
            return self.convert(self._merge(target, rest, f"{path}/$ref"), path, depth + 1)
        if "allOf" in schema:
            for index, part in enumerate(self._schemas(rest.pop("allOf"), f"{path}/allOf")):
                rest = self._merge(rest, self._resolved(part, path), f"{path}/allOf/{index}")
            return self.convert(rest, path, depth + 1)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._alternatives(key, rest.pop(key), rest, path, depth)
        values = constants(schema)
        if values is not None:
            return self._constants(values, schema, path)
        kinds = self._kinds(schema, path)
        return either(*[self._of_type(kind, schema, path, depth) for kind in kinds])

    def _says_something(self, schema: Schema) -> bool:
        keywords = {"type", "enum", "const", "anyOf", "oneOf", "allOf"}.union(*_BY_KEYWORD.values())
        return bool(keywords & schema.keys())

    def _merge(self, first: Any, second: Any, path: str) -> Any:
        def refuse(key: str) -> Exception:
            return self._error(path, f"{key!r} cannot be merged with what stands beside it")

        try:
            return merge(first, second, refuse)
        except (TypeError, ArithmeticError, AttributeError):
            raise self._error(path, "cannot be merged with what stands beside it") from None

    def _schemas(self, schemas: Any, path: str) -> list[Any]:
        if not isinstance(schemas, list) or not schemas:
            raise self._error(path, f"must be a non-empty list of schemas, got {schemas!r:.60}")
        return schemas

    def _alternatives(self, key: str, branches: Any, rest: Schema, path: str, depth: int) -> Node:
        schemas = [self._resolved(each, path) for each in self._schemas(branches, f"{path}/{key}")]
        if key == "oneOf":
            for index, schema in enumerate(schemas):
                if not all(never_both(schema, other) for other in schemas[:index]):
                    self._unenforced(
                        f"{path}/oneOf/{index}", "that only one of oneOf is valid, while two may be"
                    )
        options = []
        for index, branch in enumerate(branches):
            at = f"{path}/{key}/{index}"
            whole = self._merge(rest, schemas[index], at) if self._says_something(rest) else branch
            options.append(self.convert(whole, at, depth + 1))
        return either(*options)

    # -- references --------------------------------------------------------

    def _resolved(self, schema: Any, path: str) -> Any:
        """A schema that is nothing but a reference, followed."""
        for _ in range(MAX_DEPTH):
            if not isinstance(schema, dict) or "$ref" not in schema:
                return schema
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            target, _name = self._target(schema["$ref"], f"{path}/$ref")
            schema = self._merge(target, rest, path) if self._says_something(rest) else target
        raise self._error(path, "the references lead in a circle")

    def _target(self, reference: Any, path: str) -> tuple[Any, str]:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise self._error(
                path, f"only references into the schema can be followed: {reference!r:.60}"
            )
        found = self._document
        for part in reference[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                raise self._error(path, f"there is no {reference!r:.60} in the schema")
        if reference[1:2] not in {"", "/"}:
            raise self._error(path, f"anchors cannot be followed: {reference!r:.60}")
        return found, reference

    def _reference(self, name: str, target: Any, depth: int) -> Node:
        if name not in self._refs:
            rule = self._refs[name] = f"ref-{len(self._refs) + 1}"
            self.rules[rule] = self.convert(target, name, depth + 1)
        return Ref(self._refs[name])

    # -- values ------------------------------------------------------------

    def _shared(self, name: str, make: Callable[[], Node]) -> Node:
        if name not in self.rules:
            self.rules[name] = seq()  # it may refer to itself
            self.rules[name] = make()
        return Ref(name)

    def _value(self) -> Node:
        return either(*[self._of_type(kind, {}, "#", 0) for kind in _TYPES if kind != "integer"])

    def _constants(self, values: list[Any], schema: Schema, path: str) -> Node:
        kinds = types_of(schema)
        kept = [value for value in values if kinds is None or _is_of(value, kinds)]
        for key in set().union(*_BY_KEYWORD.values()) & schema.keys():
            self._unenforced(f"{path}/{key}", f"{key!r} beside an enumeration")
        if not kept:
            raise self._error(path, "no value is left of the enumeration")
        try:
            return either(*map(json_strings.literal, kept))
        except (ValueError, RecursionError) as error:
            raise self._error(path, f"a value that cannot be written: {error}") from None

    def _kinds(self, schema: Schema, path: str) -> list[str]:
        named = schema.get("type")
        if named is None:
            kinds = [kind for kind, keys in _BY_KEYWORD.items() if keys & schema.keys()]
            return kinds or [kind for kind in _TYPES if kind != "integer"]
        kinds = named if isinstance(named, list) else [named]
        if not kinds:
            raise self._error(f"{path}/type", "no type is left")
        for kind in kinds:
            if kind not in _TYPES:
                raise self._error(
                    f"{path}/type", f"must be one of {', '.join(_TYPES)}, got {kind!r:.60}"
                )
        return kinds

    def _of_type(self, kind: str, schema: Schema, path: str, depth: int) -> Node:
        if kind == "null":
            return seq("null")
        if kind == "boolean":
            return either("true", "false")
        if kind == "string":
            return self._string(schema, path)
        if kind == "array":
            return self._array(schema, path, depth)
        if kind == "object":
            return self._object(schema, path, depth)
        return self._numeric(kind, schema, path)

    def _numeric(self, kind: str, schema: Schema, path: str) -> Node:
        low, high = (self._number(schema, key, path) for key in ("minimum", "maximum"))
        above = self._number(schema, "exclusiveMinimum", path)
        below = self._number(schema, "exclusiveMaximum", path)
        if low is None and high is None and above is None and below is None:
            return self._shared(kind, lambda: _any_number(kind))
        open_low = above is not None and (low is None or above >= low)
        open_high = below is not None and (high is None or below <= high)
        low = above if open_low else low
        high = below if open_high else high
        low = None if low is None else json_numbers.clamped(low)
        high = None if high is None else json_numbers.clamped(high)
        found: Node | None
        if kind == "integer":
            first = None if low is None else low.to_integral_value("ROUND_CEILING")
            last = None if high is None else high.to_integral_value("ROUND_FLOOR")
            first = first + 1 if first is not None and open_low and first == low else first
            last = last - 1 if last is not None and open_high and last == high else last
            found = json_numbers.integer_between(first, last)
        else:
            found = json_numbers.number_between(low, high, open_=(open_low, open_high))
        if found is None:
            raise self._error(path, f"no {kind} is between {low} and {high}")
        return found

    def _string(self, schema: Schema, path: str) -> Node:
        low, high = self._limits(schema, "Length", path)
        limited = low > 0 or high is not None
        pattern = schema.get("pattern")
        format_ = schema.get("format")
        if pattern is not None:
            if limited:
                self._unenforced(f"{path}/pattern", "a length beside a pattern")
            if not isinstance(pattern, str):
                raise self._error(f"{path}/pattern", f"must be a str, got {pattern!r:.60}")
            try:
                return json_strings.matching(pattern)
            except GrammarError as error:
                raise self._error(f"{path}/pattern", error.message, error.hint) from None
        if isinstance(format_, str) and format_ in json_strings.FORMATS and not limited:
            return json_strings.matching(f"^{json_strings.FORMATS[format_]}$")
        characters = times(Ref("char"), low, high)
        return self._shared(f"string-{low}-{high}", lambda: json_strings.quoted(characters))

    def _array(self, schema: Schema, path: str, depth: int) -> Node:
        low, high = self._limits(schema, "Items", path)
        prefix = schema.get("prefixItems", [])
        items = schema.get("items", True)
        if isinstance(items, list):  # as before draft 2020-12
            prefix, items = items, schema.get("additionalItems", True)
        if not isinstance(prefix, list):
            raise self._error(f"{path}/prefixItems", "must be a list of schemas")
        if high is not None and high < len(prefix):
            prefix = prefix[:high]
        parts = [
            self.convert(each, f"{path}/prefixItems/{index}", depth + 1)
            for index, each in enumerate(prefix)
        ]
        more: Node = seq()
        if high is None or high > len(prefix):
            if items is False:
                if low > len(prefix):
                    raise self._error(f"{path}/minItems", f"is {low}, with {len(prefix)} items")
            elif not prefix or "items" in schema or low > len(prefix):
                item = self.convert(items, f"{path}/items", depth + 1)
                at_least = max(0, low - len(prefix))
                at_most = None if high is None else high - len(prefix)
                more = _repeated(item, at_least, at_most, begun=bool(prefix))
        return seq("[", Ref("space"), *_joined(parts), more, Ref("space"), "]")

    def _object(self, schema: Schema, path: str, depth: int) -> Node:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, dict):
            raise self._error(f"{path}/properties", "must be an object of schemas")
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            raise self._error(f"{path}/required", "must be a list of names")
        properties = {**properties, **{name: True for name in required if name not in properties}}
        extra = schema.get("additionalProperties", not properties)
        self._check_sizes(schema, path, properties, required, extra)
        pairs = []
        for name, part in properties.items():
            if part is False and name not in required:
                continue
            key = name.replace("~", "~0").replace("/", "~1")
            value = self.convert(part, f"{path}/properties/{key}", depth + 1)
            pairs.append((_pair(json_strings.literal(name), value), name in required))
        end: Node | None = None
        if extra is not False:
            value = self.convert(extra, f"{path}/additionalProperties", depth + 1)
            end = _pair(json_strings.other_than(list(properties)), value)
        return seq("{", Ref("space"), self._members(pairs, end), Ref("space"), "}")

    def _check_sizes(
        self, schema: Schema, path: str, properties: Schema, required: list[str], extra: Any
    ) -> None:
        low, high = self._limits(schema, "Properties", path)
        if low > len(required):
            self._unenforced(f"{path}/minProperties", "'minProperties'")
        if high is not None and (extra is not False or high < len(properties)):
            self._unenforced(f"{path}/maxProperties", "'maxProperties'")

    def _members(self, pairs: list[tuple[Node, bool]], extra: Node | None) -> Node:
        """The pairs in their order, any of the optional ones left out, and commas between."""
        first: Node = seq() if extra is None else _repeated(extra, 0, None, begun=False)
        later: Node = seq() if extra is None else _repeated(extra, 0, None, begun=True)
        for pair, needed in reversed(pairs):
            # Rules of their own: what comes after an optional pair is in two places.
            rest = self._rule(later)
            this, next_ = seq(pair, rest), seq(",", Ref("space"), pair, rest)
            first = this if needed else either(this, self._rule(first))
            later = next_ if needed else either(next_, rest)
        return first

    def _rule(self, node: Node) -> Node:
        if isinstance(node, Ref):
            return node
        name = f"part-{len(self.rules)}"
        self.rules[name] = node
        return Ref(name)


def _any_number(kind: str) -> Node:
    digits = times(json_numbers.DIGIT, 0, json_numbers.MAX_DIGITS - 1)
    whole = either("0", seq(CharSet(((0x31, 0x39),)), digits))
    if kind == "integer":
        return either("0", seq(times(seq("-"), 0, 1), CharSet(((0x31, 0x39),)), digits))
    places = times(json_numbers.DIGIT, 1, json_numbers.MAX_DIGITS)
    sign = times(CharSet(((0x2B, 0x2B), (0x2D, 0x2D))), 0, 1)
    exponent = seq(CharSet(((0x45, 0x45), (0x65, 0x65))), sign, times(json_numbers.DIGIT, 1, 2))
    return seq(times(seq("-"), 0, 1), whole, times(seq(".", places), 0, 1), times(exponent, 0, 1))


def _is_of(value: Any, kinds: set[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in kinds
    if isinstance(value, float) and value.is_integer():
        return bool(kinds & {"integer", "number"})
    names = {int: {"integer", "number"}, float: {"number"}, str: {"string"}, list: {"array"}}
    names.update({dict: {"object"}, type(None): {"null"}})
    return bool(kinds & names.get(type(value), set()))


def _pair(key: Node, value: Node) -> Node:
    return seq(key, ":", Ref("space"), value)


def _joined(parts: list[Node]) -> list[Node]:
    found: list[Node] = []
    for index, part in enumerate(parts):
        found += [seq(",", Ref("space")), part] if index else [part]
    return found


def _repeated(item: Node, low: int, high: int | None, *, begun: bool) -> Node:
    """Items with commas between them, and before the first if something was written."""
    following = seq(",", Ref("space"), item)
    if begun:
        return times(following, low, high)
    if high == 0:
        return seq()
    more = times(following, max(0, low - 1), None if high is None else high - 1)
    some = seq(item, more)
    return some if low > 0 else times(some, 0, 1)
