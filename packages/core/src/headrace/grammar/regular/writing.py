"""Trees in llguidance's syntax, which is that of Rust's regular expressions."""

from __future__ import annotations

from headrace.grammar.regular.dialects import ANYTHING
from headrace.grammar.regular.tree import Ahead, Chars, Edge, Options, Repeated, Sequence, Tree
from headrace.grammar.sets import Ranges, union, without

SURROGATES: Ranges = ((0xD800, 0xDFFF),)
"""No characters, whatever a pattern says."""
NOTHING = r"[^\x{0}-\x{10FFFF}]"
"""What matches no text at all."""


def write(tree: Tree, unwritable: Ranges = ()) -> str:
    """A tree as a pattern that matches the same texts.

    Args:
        tree: Without edges and lookaheads.
        unwritable: Characters that no text has.
    """
    if isinstance(tree, Chars):
        return write_set(tree, unwritable)
    if isinstance(tree, Sequence):
        return "".join(write(item, unwritable) for item in tree.items) or "(?:)"
    if isinstance(tree, Options):
        return f"(?:{'|'.join(write(item, unwritable) for item in tree.items)})"
    assert isinstance(tree, Repeated)
    item = write(tree.item, unwritable)
    if not isinstance(tree.item, (Chars, Options)):
        item = f"(?:{item})"
    high = "" if tree.high is None else tree.high
    return f"{item}{{{tree.low},{high}}}"


def write_set(chars: Chars, unwritable: Ranges = ()) -> str:
    """A set of characters."""
    missing = union((*unwritable, *SURROGATES))
    if not chars.properties:
        kept = without(union((*without(chars.ranges), *missing)))
        return f"[{_ranges(kept)}]" if kept else NOTHING
    inside = _ranges(without(union((*without(chars.ranges), *SURROGATES))))
    sign = "^" if chars.negated else ""
    members = f"[{sign}{inside}{''.join(chars.properties)}]"
    return f"[{members}&&[{_ranges(without(missing))}]]"


def _ranges(ranges: Ranges) -> str:
    return "".join(
        _code(low) if low == high else f"{_code(low)}-{_code(high)}" for low, high in ranges
    )


def _code(code: int) -> str:
    plain = chr(code)
    return plain if plain.isascii() and plain.isalnum() else f"\\x{{{code:X}}}"


def is_nothing(tree: Tree, unwritable: Ranges = ()) -> bool:
    """Whether no text matches."""
    if isinstance(tree, Chars):
        left = without(union((*without(tree.ranges), *unwritable, *SURROGATES)))
        return not tree.properties and not left
    if isinstance(tree, Options):
        return all(is_nothing(item, unwritable) for item in tree.items)
    if isinstance(tree, Sequence):
        return any(is_nothing(item, unwritable) for item in tree.items)
    if isinstance(tree, Repeated):
        return tree.low > 0 and is_nothing(tree.item, unwritable)
    assert isinstance(tree, (Edge, Ahead))
    return False


ANY_TEXT = f"{write(Chars(ANYTHING))}*"
"""What matches every text."""
