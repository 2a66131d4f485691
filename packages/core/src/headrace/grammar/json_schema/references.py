"""What a reference in a schema leads to: pointers, anchors, and the names of embedded schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from headrace.grammar.json_schema.keywords import ENFORCED, REWRITTEN
from headrace.grammar.json_schema.reading import below, refusal

_NO_SCHEMAS = {"const", "enum", "required", "type", "default", "examples"}
_MAPS = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
_MAPS.add("dependencies")


class References:
    """The places of one document.

    Args:
        document: The whole schema.
    """

    def __init__(self, document: Any) -> None:
        self._roots: dict[str, tuple[Any, str]] = {}
        self._anchors: dict[str, tuple[Any, str]] = {}
        self._bases: dict[str, str] = {}
        self._roots[""] = (document, "#")
        self._index(document)

    def base(self, path: str, before: str) -> str:
        """The name that references below a place are relative to."""
        return self._bases.get(path, before)

    def target(self, reference: Any, base: str, path: str) -> tuple[Any, str, str]:
        """Where a reference leads.

        Args:
            reference: What it says.
            base: What it is relative to.
            path: Its own place.

        Returns:
            What stands there, its path, and what references there are relative to.

        Raises:
            GrammarError: If there is nothing, or it is another document.
        """
        if not isinstance(reference, str):
            raise refusal(path, f"must be a str, got {reference!r:.60}")
        name, fragment = _split(base, reference)
        if fragment and not fragment.startswith("/"):
            found = self._anchors.get(f"{name}#{fragment}")
            if found is None:
                raise refusal(path, f"there is no {reference!r:.60} in the schema")
            return (*found, name)
        if name not in self._roots:
            raise refusal(
                path, f"only references into the schema can be followed: {reference!r:.60}"
            )
        node, at = self._roots[name]
        for part in fragment.split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdecimal() and int(key[:9]) < len(node):
                node = node[int(key[:9])]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            else:
                raise refusal(path, f"there is no {reference!r:.60} in the schema")
            at = below(at, key)
            name = self._bases.get(at, name)
        return node, at, name

    def _index(self, document: Any) -> None:
        waiting: list[tuple[Any, str, str]] = [(document, "#", "")]
        while waiting:
            node, path, base = waiting.pop()
            if not isinstance(node, dict):
                continue
            for key in ("$id", "id"):
                name = node.get(key)
                if isinstance(name, str) and "$ref" not in node and not name.startswith("#"):
                    base = _split(base, name)[0]
                    self._roots.setdefault(base, (node, path))
                    self._bases[path] = base
                elif isinstance(name, str) and name.startswith("#"):
                    self._anchors.setdefault(f"{base}{name}", (node, path))
            for key in ("$anchor", "$dynamicAnchor"):
                if isinstance(node.get(key), str):
                    self._anchors.setdefault(f"{base}#{node[key]}", (node, path))
            waiting += [(part, at, base) for part, at in parts(node, path)]


def _split(base: str, reference: str) -> tuple[str, str]:
    """The whole name of a document, and a place in it."""
    try:
        name, fragment = urldefrag(urljoin(base, reference))
    except ValueError:
        name, fragment = reference, ""
    return name, fragment


def parts(node: dict[str, Any], path: str) -> Iterator[tuple[Any, str]]:
    """The schemas right below a schema, with their paths."""
    for key, value in node.items():
        at = below(path, key)
        if key in _MAPS and isinstance(value, dict):
            yield from ((part, below(at, name)) for name, part in value.items())
        elif key not in ENFORCED | REWRITTEN | {"contains"} or key in _NO_SCHEMAS:
            continue
        elif isinstance(value, list):
            yield from ((part, f"{at}/{index}") for index, part in enumerate(value))
        elif isinstance(value, dict):
            yield value, at
