"""Free text in which triggers are looked for, and what follows them, as one grammar of the output.

The text is read by an automaton that looks for all triggers at once. Its states say
how far each of them has come, and, where the grammar would have begun within the trigger, how far
that has come. The first character that completes a trigger leads into what is left of the grammar
then; where nothing is left, the character is not allowed. So the output is ``free? | before rest``,
with a ``before`` for each ``rest``: texts that end at the first trigger, of which none can go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from headrace.errors import GrammarError
from headrace.grammar.derivative import Matcher, Rest, begins, remaining
from headrace.grammar.nodes import (
    LAST_CHARACTER,
    Chain,
    CharSet,
    Either,
    Node,
    Ref,
    Repeat,
    Rules,
    Text,
    TokenRef,
    Tokens,
    Whole,
)
from headrace.grammar.sets import Ranges, first_ranges, union, writable
from headrace.grammar.shape import ROOT
from headrace.grammar.waking import Beginning, Mark, Not

MAX_STATES = 5000
"""Most states of an automaton."""


@attrs.frozen
class _Thread:
    """One way that a trigger can be on."""

    place: Rest
    begun: tuple[Rest, ...] | None = None
    """Where the grammar has come to; None: it begins later."""
    never: frozenset[Rest] = frozenset()
    """What must not be written next."""


_State = tuple[_Thread, ...]


@attrs.define
class Automaton:
    """What looks for triggers: for each state the characters that lead to another, or wake."""

    moves: list[list[tuple[Ranges, int]]] = attrs.field(factory=list)
    wakes: list[list[tuple[Ranges, int]]] = attrs.field(factory=list)
    rests: list[Node] = attrs.field(factory=list)
    """What is left of the grammar, by number."""
    later: int = 0
    """The state of an output that has begun, with no trigger under way."""


def automaton(triggers: Sequence[Node], rules: Rules, start: Node) -> Automaton:
    """The automaton for some triggers.

    Args:
        triggers: As ``waking`` makes them; of several that are complete at once the one counts
            that began first, or stands first.
        rules: Those of the grammar.
        start: What the grammar begins with.

    Raises:
        GrammarError: If there are too many states.
    """
    return _Builder(triggers, Matcher({**rules, ROOT: start}, ROOT)).build()


def add_states(made: dict[str, Node], found: Automaton) -> None:
    """Add the rules that ``add_free`` refers to."""
    for k in (None, *range(len(found.rests))):
        _add_states(made, found, k)


def add_free(
    made: dict[str, Node],
    found: Automaton,
    name: str,
    rests: Sequence[Node],
    after: Sequence[Node],
    *,
    ends: bool,
) -> tuple[Ref, Ref]:
    """Add rules for text in which triggers are looked for.

    Args:
        made: The rules so far, those of ``add_states`` among them.
        found: What looks for them.
        name: A name for these.
        rests: What follows each trigger, up to the end of the output.
        after: What may follow the text instead.
        ends: Whether the output may end before a trigger.

    Returns:
        What begins with the output, and what begins later.
    """

    def from_(state: int) -> Node:
        woken = [
            Chain((Whole(Ref(f"before>{k}>{state}")), rest))
            for k, rest in enumerate(rests)
            if f"before>{k}>{state}" in made
        ]
        free = Repeat(Whole(_nonempty(made[f"still>{state}"])), 0, 1)
        return Either((*woken, *([free] if ends else []), *(Chain((free, way)) for way in after)))

    made[f"{name}>0"] = from_(0)
    made[f"{name}>later"] = from_(found.later)
    return Ref(f"{name}>0"), Ref(f"{name}>later")


def behind(grammar: Matcher, token: int, tokens: Tokens | None) -> Either:
    """What is left of a grammar behind a token."""

    def is_it(node: Node) -> bool:
        if not isinstance(node, TokenRef):
            return False
        named = node.token
        found = tokens.id_of(named) if tokens and isinstance(named, str) else named
        return (found == token) is not node.negated

    as_itself = grammar.moved(grammar.places, is_it)
    text = tokens.text_of(token) if tokens else None
    as_text = grammar.places if text and grammar.feed(text) else []
    return remaining([*as_itself, *as_text])


def _nonempty(rule: Node) -> Node:
    assert isinstance(rule, Either)
    return Either(rule.options[1:])


def _add_states(made: dict[str, Node], found: Automaton, k: int | None) -> None:
    """Rules for the texts that end with the waking of one rest, or for those that wake none."""
    kind = "still" if k is None else f"before>{k}"
    leads = set(range(len(found.moves))) if k is None else _leading(found, k)
    for state in sorted(leads):
        ends = (
            []
            if k is None
            else [CharSet(ranges) for ranges, rest in found.wakes[state] if rest == k]
        )
        on = [
            Chain((CharSet(ranges), Ref(f"{kind}>{target}")))
            for ranges, target in found.moves[state]
            if target in leads
        ]
        made[f"{kind}>{state}"] = Either((*([Chain(())] if k is None else []), *ends, *on))


def _leading(found: Automaton, k: int) -> set[int]:
    """The states from which a rest can be woken."""
    before: dict[int, list[int]] = {}
    for state, moves in enumerate(found.moves):
        for _, target in moves:
            before.setdefault(target, []).append(state)
    todo = [state for state, wakes in enumerate(found.wakes) if any(rest == k for _, rest in wakes)]
    leads = set(todo)
    for state in todo:
        for other in before.get(state, ()):
            if other not in leads:
                leads.add(other)
                todo.append(other)
    return leads


class _Builder:
    def __init__(self, triggers: Sequence[Node], grammar: Matcher) -> None:
        self._grammar = grammar
        self._triggers = Matcher({"": Chain(())}, "")
        self._start: list[_Thread] = [_Thread((node, ())) for node in triggers]
        self._numbers: dict[_State, int] = {}
        self._states: list[_State] = []
        self._rests: dict[tuple[Rest, ...], int] = {}
        self._found = Automaton()

    def build(self) -> Automaton:
        state, done = self._opened(self._start, beginning=True)
        if done is not None:
            raise GrammarError("a trigger's pattern must not match an empty text")
        self._number(state)
        self._found.later = self._number(self._opened(self._start, beginning=False)[0])
        for state in self._states:  # grows on the way
            moves: dict[int, list[tuple[int, int]]] = {}
            wakes: dict[int, list[tuple[int, int]]] = {}
            for low, high in _classes(state):
                threads = [moved for thread in state if (moved := self._after(thread, low))]
                following, done = self._opened([*threads, *self._start], beginning=False)
                if done is None:
                    moves.setdefault(self._number(following), []).append((low, high))
                elif done:
                    wakes.setdefault(self._rest(done), []).append((low, high))
            self._found.moves.append([(union(each), to) for to, each in moves.items()])
            self._found.wakes.append([(union(each), to) for to, each in wakes.items()])
        return self._found

    def _number(self, state: _State) -> int:
        if state not in self._numbers:
            if len(self._states) == MAX_STATES:
                raise GrammarError(
                    f"looking for the triggers takes more than {MAX_STATES} states",
                    hint="Use fewer or shorter words, or simpler patterns.",
                )
            self._numbers[state] = len(self._states)
            self._states.append(state)
        return self._numbers[state]

    def _rest(self, places: tuple[Rest, ...]) -> int:
        if places not in self._rests:
            self._rests[places] = len(self._rests)
            self._found.rests.append(remaining(places))
        return self._rests[places]

    def _after(self, thread: _Thread, code: int) -> _Thread | None:
        """Where a character leads; None: it is not what the trigger goes on with."""

        def is_it(node: Any) -> bool:
            return begins(node, code)

        if not is_it(thread.place[0]):
            return None
        node, place = thread.place
        if isinstance(node, Text) and len(node.characters) > 1:
            place = (self._triggers.shorter(node), place)
        begun = thread.begun
        if begun is not None:
            begun = tuple(self._grammar.moved(begun, is_it))
        never = frozenset(self._triggers.moved(thread.never, is_it))
        return None if () in never else _Thread(place, begun, never)

    def _opened(
        self, threads: Iterable[_Thread], *, beginning: bool
    ) -> tuple[_State, tuple[Rest, ...] | None]:
        """The state of some threads, and where the grammar is if one of them is complete."""
        found: dict[_Thread, None] = {}
        seen: set[_Thread] = set()
        todo = list(threads)[::-1]
        while todo:
            thread = todo.pop()
            if thread in seen:
                continue
            seen.add(thread)
            for place in self._triggers.opened([thread.place]):
                node, rest = place or (None, ())
                if node is None:
                    return (), thread.begun or ()
                if isinstance(node, Beginning):
                    if beginning:
                        todo.append(attrs.evolve(thread, place=rest))
                elif isinstance(node, Mark):
                    begun = thread.begun
                    if begun is None:
                        begun = tuple(self._grammar.places)
                    todo.append(attrs.evolve(thread, place=rest, begun=begun))
                elif isinstance(node, Not):
                    never = thread.never.union(self._triggers.opened([(node.item, ())]))
                    if () not in never:
                        todo.append(attrs.evolve(thread, place=rest, never=never))
                else:
                    found[attrs.evolve(thread, place=place)] = None
        return tuple(found), None


def _classes(state: _State) -> list[tuple[int, int]]:
    """The ranges of characters that all threads treat alike."""
    ranges: list[tuple[int, int]] = []
    for thread in state:
        for place in (thread.place, *(thread.begun or ()), *thread.never):
            ranges.extend(_first(place))
    edges = sorted({0, *(low for low, _ in ranges), *(high + 1 for _, high in ranges)})
    ends = [*(edge - 1 for edge in edges[1:]), LAST_CHARACTER]
    alike = zip(edges, ends, strict=True)
    return [each for low, high in alike if low <= high for each in writable(((low, high),))]


def _first(place: Rest) -> Ranges:
    return first_ranges(place[0]) if place else ()
