"""JSON schemas of tools: looked at before a conversation begins, and the arguments after it.

A template's format may keep a call to its shape alone, so that what a schema asks for is held to
be kept only if it was checked. ``jsonschema`` does it; it is imported when there are tools.
Formats such as ``date`` are annotations, as they are in the specification. Nothing is fetched:
a reference out of the schema is refused.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from headrace.errors import ParamsError
from headrace.results.chat import ArgumentProblem, ToolCall

MAX_PROBLEMS = 20
"""Most problems that are told of one call."""
_LONGEST = 300
"""Characters of a problem's message."""


class _Number(Decimal):
    """A number as it was written: in binary, 0.3 is no multiple of 0.1."""

    def __repr__(self) -> str:
        return str(self)


def check_tool_schema(where: str, schema: Mapping[str, Any]) -> None:
    """Raise for what is no JSON schema of a tool's arguments.

    Args:
        where: Its name in the request, such as ``tools[0].parameters``.
        schema: The schema; JSON values.

    Raises:
        ParamsError: With the place in it.
    """
    wrong = _wrong(json.dumps(schema, ensure_ascii=False))
    if wrong is not None:
        raise ParamsError(f"{where}, {wrong[0]}: {wrong[1]}", hint=wrong[2])


@functools.lru_cache(maxsize=256)
def _wrong(schema: str) -> tuple[str, str, str | None] | None:
    """Where a schema is none, why, and what helps; None if it is one."""
    from jsonschema.exceptions import best_match

    try:
        validator = _validator(schema)
        meta = type(validator)(validator.META_SCHEMA, registry=_registry())
        error = best_match(meta.iter_errors(validator.schema))
        if error is not None:
            return _path(error.absolute_path), _short(error.message), None
        types = validator.schema.get("type", "object")
        if "object" not in ([types] if isinstance(types, str) else types):
            said = f"must describe an object, whose properties are the arguments, got {types!r}"
            return "#/type", said, None
        return _lost_reference(validator.schema)
    except RecursionError:
        return "#", "is nested too deeply", None


def _lost_reference(schema: dict[str, Any]) -> tuple[str, str, str | None] | None:
    from referencing.exceptions import Unresolvable

    resource = _resource(schema)
    resolver = _registry().resolver_with_root(resource)
    for path, holder in _references(schema, "#"):
        try:
            resolver.lookup(holder)
        except (Unresolvable, ValueError):
            said = f"refers to {holder!r:.80}, which is not in this schema"
            return path, said, "Nothing is fetched: put what is referred to under '$defs'."
    return None


_VALUES = ("const", "enum", "default", "examples")
"""Keywords whose values are no schemas, whatever they look like."""
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords whose values are schemas by name."""


def _references(schema: Any, path: str) -> Iterator[tuple[str, str]]:
    """Places of references, and what they refer to, outside of schemas with an ``$id``."""
    if isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from _references(each, f"{path}/{index}")
    if not isinstance(schema, dict) or (path != "#" and "$id" in schema):
        return
    for name, value in schema.items():
        at = f"{path}/{_escaped(name)}"
        if name == "$ref" and isinstance(value, str):
            yield at, value
        elif name in _NAMED and isinstance(value, dict):
            for key, each in value.items():
                yield from _references(each, f"{at}/{_escaped(key)}")
        elif name not in _VALUES:
            yield from _references(value, at)


def argument_problems(call: ToolCall, schemas: Mapping[str, str]) -> tuple[ArgumentProblem, ...]:
    """What is wrong with a finished call.

    Args:
        call: What the model wants called.
        schemas: The tools' schemas as JSON, by the tools' names.
    """
    schema = schemas.get(call.name)
    if schema is None:
        names = ", ".join(map(repr, schemas))
        return (ArgumentProblem("#", f"there is no tool {call.name!r:.80}, only {names:.200}"),)
    try:
        values = json.loads(call.arguments.strip() or "{}", parse_float=_Number)
    except ArithmeticError:
        return (ArgumentProblem("#", "the arguments have a number beyond all bounds"),)
    except (ValueError, RecursionError) as error:
        return (ArgumentProblem("#", _short(f"the arguments are no JSON: {error}")),)
    if not isinstance(values, dict):
        return (ArgumentProblem("#", _short(f"the arguments are no JSON object: {values!r}")),)
    return tuple(_problems(schema, values))


def _problems(schema: str, values: dict[str, Any]) -> Iterable[ArgumentProblem]:
    from referencing.exceptions import Unresolvable

    found = []
    try:
        for error in itertools.islice(_validator(schema).iter_errors(values), MAX_PROBLEMS):
            found.append(ArgumentProblem(_path(error.absolute_path), _short(error.message)))
    except (re.error, RecursionError, ArithmeticError, ValueError, Unresolvable) as error:
        # A pattern of another dialect, a reference in a circle, a number beyond all bounds.
        found.append(ArgumentProblem("#", _short(f"the schema could not be checked: {error}")))
    return sorted(found, key=lambda each: each.path)


@functools.lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    read = json.loads(schema, parse_float=_Number)
    return _draft(_class_for(read))(read, registry=_registry())


def _class_for(schema: dict[str, Any]) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # for a dialect that it does not know
        return validator_for(schema, default=Draft202012Validator)


@functools.cache
def _draft(kind: Any) -> Any:
    """A draft's validator for numbers that are exact."""
    from jsonschema import validators

    extend: Any = validators.extend
    return extend(kind, type_checker=kind.TYPE_CHECKER.redefine("integer", _is_integer))


def _is_integer(checker: Any, value: Any) -> bool:
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _registry() -> Any:
    """Of the drafts' own schemas; nothing else is looked up, in no network either."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    return REGISTRY


def _resource(schema: dict[str, Any]) -> Any:
    from referencing import Resource
    from referencing.jsonschema import DRAFT202012

    try:
        return Resource.from_contents(schema, default_specification=DRAFT202012)
    except LookupError:  # an unknown dialect
        return DRAFT202012.create_resource(schema)


def _path(parts: Iterable[Any]) -> str:
    return "/".join(["#", *map(_escaped, parts)])


def _escaped(part: Any) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST - 1]}…"
