"""JSON schemas in the part of the language that llama.cpp's converter takes and gets right.

A tool's schema is shown to the model as it is; what is written here goes into the grammar of the
template's format alone. What the converter refuses, what it would make too large a grammar of,
and what it would turn into something narrower is left out: arguments are checked against the whole
schema when a call is finished.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ANY_OBJECT = {"type": "object"}
_INTEGERS = 2**53
_DEEPEST = 64
_TARGETS = ("$defs", "definitions")
_PIECE = re.compile(
    r"(?P<digit>\\d)|(?P<word>\\w)|\\(?P<literal>[-/_:])|(?P<escape>\\[.+*?()\[\]{}|^$])"
    r"|\[(?P<set>(?:[A-Za-z0-9_ .:/@+,-]|\\[dw./+-])+)\]"
    r"|(?P<open>\((?:\?:)?)|(?P<close>\))|(?P<either>\|)"
    r"|(?P<times>(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})(?![*+?{]))"
    r"|(?P<plain>[A-Za-z0-9_ :/@#%&=~!;',-])"
)
_SETS = {r"\d": "0-9", r"\w": "A-Za-z0-9_"}


def simplified(schema: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """A schema under which all is valid that is valid under the given one, and more.

    Args:
        schema: A JSON schema. One that is simple enough comes back as it is.
        limit: The largest bound of a length that is kept.
    """
    return _Writer(schema, limit).write(schema, 0)


class _Writer:
    def __init__(self, document: Mapping[str, Any], limit: int) -> None:
        self._document = document
        self._limit = limit

    def write(self, schema: Any, depth: int) -> dict[str, Any]:
        """A schema without what the converter stumbles over, of any type."""
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return {}  # true, false
        found = dict(schema)
        for name in _TARGETS:
            if isinstance(found.get(name), Mapping):
                found[name] = self._each(found[name], depth)
        if "$ref" in found:
            return found if self._is_known(found["$ref"]) else {}
        for name in ("oneOf", "anyOf"):
            if isinstance(found.get(name), list):
                found[name] = [self.write(each, depth + 1) for each in found[name]]
                return found
        if found.get("enum") == []:
            del found["enum"]
        parts = found.get("allOf")
        if parts:
            return self._all_of(found, parts, depth)
        self._object(found, depth)
        self._array(found, depth)
        self._string(found)
        self._integer(found)
        return found

    def _each(self, schemas: Mapping[str, Any], depth: int) -> dict[str, Any]:
        return {name: self.write(each, depth + 1) for name, each in schemas.items()}

    def _is_known(self, target: Any) -> bool:
        """Whether the converter, which knows no escapes, finds what a reference refers to."""
        if not isinstance(target, str) or not target.startswith("#/"):
            return False
        found: Any = self._document
        for part in target[2:].split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        return isinstance(found, Mapping)

    def _all_of(self, found: dict[str, Any], parts: list[Any], depth: int) -> dict[str, Any]:
        """What pydantic puts beside a reference; several at once become something narrower."""
        only_one = len(parts) == 1 and not {"type", "properties"} & set(found)
        kept: dict[str, Any] = {
            name: found[name] for name in ("$defs", "definitions") if name in found
        }
        if only_one:
            return {**self.write(parts[0], depth + 1), **kept}
        return {"type": found["type"], **kept} if "type" in found else kept

    def _object(self, found: dict[str, Any], depth: int) -> None:
        if isinstance(found.get("properties"), Mapping):
            found["properties"] = self._each(found["properties"], depth)
        if isinstance(found.get("additionalProperties"), Mapping):
            found["additionalProperties"] = self.write(found["additionalProperties"], depth + 1)

    def _array(self, found: dict[str, Any], depth: int) -> None:
        if "prefixItems" in found or not isinstance(found.get("items", {}), Mapping):
            found.pop("prefixItems", None)
            found.pop("items", None)
        elif "items" in found:
            found["items"] = self.write(found["items"], depth + 1)
        self._bound(found, "minItems", "maxItems")

    def _string(self, found: dict[str, Any]) -> None:
        if "pattern" in found:
            pattern = _pattern(found.pop("pattern"))
            if pattern is not None:
                found["pattern"] = pattern
        self._bound(found, "minLength", "maxLength")

    def _integer(self, found: dict[str, Any]) -> None:
        lower, upper = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
        for name in (*lower, *upper):
            if name in found and not _is_small(found[name]):
                del found[name]
        low = [found[name] for name in lower if name in found]
        high = [found[name] for name in upper if name in found]
        if low and high and max(low) >= min(high):
            for name in (*lower, *upper):
                found.pop(name, None)

    def _bound(self, found: dict[str, Any], low: str, high: str) -> None:
        for name in (low, high):
            if name in found and not (_is_small(found[name]) and found[name] <= self._limit):
                del found[name]
            elif name in found:
                found[name] = int(found[name])
        if found.get(low, 0) > found.get(high, self._limit):
            found.pop(low, None)
            found.pop(high, None)


def _is_small(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= _INTEGERS and value is not True


def _pattern(pattern: Any) -> str | None:
    """An anchored expression without what the converter does not know; None if it has that."""
    if not isinstance(pattern, str) or not pattern.startswith("^") or not pattern.endswith("$"):
        return None
    written, at, depth, body = ["^"], 0, 0, pattern[1:-1]
    kind: str | None = "open"
    while at < len(body):
        piece = _PIECE.match(body, at)
        if piece is None or (piece.lastgroup == "times" and kind in ("open", "either")):
            return None
        at, kind, text = piece.end(), piece.lastgroup, piece[0]
        depth += (kind == "open") - (kind == "close")
        if depth < 0 or (kind == "either" and depth == 0):
            return None
        written.append(_written(kind, text, piece))
    return None if depth else "".join([*written, "$"])


def _written(kind: str | None, text: str, piece: re.Match[str]) -> str:
    if kind in ("digit", "word"):
        return f"[{_SETS[text]}]"
    if kind == "literal":
        return piece["literal"]
    if kind == "set":
        members = piece["set"].replace("\\-", "")
        last = "-" if members != piece["set"] or members != members.strip("-") else ""
        members = members.strip("-")
        for name, range_ in _SETS.items():
            members = members.replace(name, range_)
        return f"[{members.replace(chr(92), '')}{last}]"
    return text
