"""Arrays of schemas."""

from __future__ import annotations

from typing import Any

from headrace.grammar.json_schema.part import Part


def write_array(part: Part) -> None:
    """``items``, ``prefixItems``, ``additionalItems`` and how many there are."""
    low, high = part.limits("Items")
    node, out = part.node, part.out
    first, rest = "prefixItems", "items"
    if isinstance(node.get("items"), list):  # as before draft 2020-12
        first, rest = "items", "additionalItems"
    given = node.get(first, [])
    if not isinstance(given, list):
        raise part.error(first, f"must be a list of schemas, got {given!r:.60}")
    prefix = [part.below(each, first, str(index)) for index, each in enumerate(given)]
    items: Any = part.get(rest, True)
    if high is not None and high <= len(prefix):
        # Fewer than there are schemas for.
        prefix, items = prefix[:high], False
        high = None
    out.update({"prefixItems": prefix} if prefix else {})
    out.update({"items": items} if items is not True else {})
    out.update({"minItems": low} if low else {})
    out.update({} if high is None else {"maxItems": high})
