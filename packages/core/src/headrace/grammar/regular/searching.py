"""Patterns of ECMA-262, which are looked for anywhere in a text.

``^`` and ``$`` may stand wherever the text can begin and end: in any of several alternatives, also
within groups. What begins with ``^(?=…)`` or ``^(?!…)`` is several patterns that all have to match.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace.errors import GrammarError
from headrace.grammar.places import error_at
from headrace.grammar.regular import tree as t
from headrace.grammar.regular.complement import complement
from headrace.grammar.regular.dialects import ANYTHING, ECMA
from headrace.grammar.regular.parsing import parse
from headrace.grammar.regular.writing import ANY_TEXT, is_nothing, write
from headrace.grammar.sets import Ranges

MAX_BRANCHES = 200
"""Most alternatives that come of taking apart groups with ends of the text in them."""

_Branch = tuple[bool, list[t.Tree], bool]
"""Whether it begins where the text does, what matches, and whether the text ends there."""

_REST = (t.Repeated(t.Chars(ANYTHING), 0, None),)


def searches(pattern: str, unwritable: Ranges = ()) -> list[str]:
    """Patterns in llguidance's syntax, of which all match a text in which this one is found.

    Args:
        pattern: In the syntax of ECMA-262.
        unwritable: Characters that no text has.

    Raises:
        GrammarError: With the position of what cannot be written, or if nothing matches.
    """
    return _Search(pattern, unwritable).whole()


class _Search:
    def __init__(self, pattern: str, unwritable: Ranges) -> None:
        self._pattern = pattern
        self._unwritable = unwritable
        self._n_branches = 0

    def whole(self) -> list[str]:
        branches = list(self._branches(False, _items(parse(self._pattern, ECMA)), False))
        found: list[str] = []
        if len(branches) == 1:
            begins, items, ends = branches[0]
            while items and isinstance(items[0], t.Ahead) and begins:
                found.append(self._ahead(items.pop(0)))  # type: ignore[arg-type]
            branches = [(begins, items, ends)]
            if found and not items and not ends:
                return found  # whatever else there is matches
        return [*found, self._written(branches)]

    def _ahead(self, ahead: t.Ahead) -> str:
        branches = list(self._branches(True, _items(ahead.item), False))
        if not ahead.is_negative:
            return self._written(branches)
        for _, items, _ in branches:
            self._refuse_edges(items)
        options = [t.Sequence((*items, *(() if ends else _REST))) for _, items, ends in branches]
        try:
            others = complement(t.Options(tuple(options)))
        except GrammarError as error:
            raise self._error(error.message, ahead.at) from None
        return self._written([] if others is None else [(True, [others], True)])

    def _branches(self, begins: bool, items: list[t.Tree], ends: bool) -> Iterator[_Branch]:
        """The alternatives of a sequence, with the ends of the text taken off."""
        while items and isinstance(items[0], t.Edge) and not items[0].is_end:
            begins, items = True, items[1:]
        while items and isinstance(items[-1], t.Edge) and items[-1].is_end:
            items, ends = items[:-1], True
        for place in (0, -1):
            group = items[place] if items else None
            if isinstance(group, t.Options) and _has_edge(group):
                for option in group.items:
                    whole = [*_items(option), *items[1:]] if not place else None
                    whole = whole or [*items[:-1], *_items(option)]
                    yield from self._branches(begins, whole, ends)
                return
        self._n_branches += 1
        if self._n_branches > MAX_BRANCHES:
            raise GrammarError(f"more than {MAX_BRANCHES} alternatives with ends of the text")
        yield begins, items, ends

    def _written(self, branches: Sequence[_Branch]) -> str:
        options = []
        for begins, items, ends in branches:
            self._refuse_edges(items)
            if is_nothing(t.Sequence(tuple(items)), self._unwritable):
                continue
            body = write(t.Sequence(tuple(items)), self._unwritable)
            options.append(("" if begins else ANY_TEXT) + body + ("" if ends else ANY_TEXT))
        if not options:
            raise GrammarError("no text that can be written matches the pattern")
        return f"^(?:{'|'.join(options)})$"

    def _refuse_edges(self, items: Sequence[t.Tree]) -> None:
        for item in items:
            if isinstance(item, t.Edge):
                sign = "$" if item.is_end else "^"
                raise self._error(f"{sign!r} is possible only at the ends of the pattern", item.at)
            if isinstance(item, t.Ahead):
                raise self._error("lookahead cannot be part of a grammar", item.at)
            self._refuse_edges(_parts(item))

    def _error(self, message: str, at: int) -> GrammarError:
        hint = None
        if message.startswith("lookahead"):
            hint = "At the beginning of the whole pattern, behind ^, it can be."
        return error_at("pattern", self._pattern, at, message, hint)


def _items(tree: t.Tree) -> list[t.Tree]:
    """What follows each other, with no sequence within the sequence."""
    if not isinstance(tree, t.Sequence):
        return [tree]
    return [each for item in tree.items for each in _items(item)]


def _parts(tree: t.Tree) -> Sequence[t.Tree]:
    if isinstance(tree, t.Repeated):
        return (tree.item,)
    return tree.items if isinstance(tree, (t.Sequence, t.Options)) else ()


def _has_edge(tree: t.Tree) -> bool:
    return isinstance(tree, t.Edge) or any(map(_has_edge, _parts(tree)))
