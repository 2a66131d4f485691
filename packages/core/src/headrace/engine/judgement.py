"""What ``speculate="auto"`` goes by: what a step with drafts costs here, and how often they hold.

A token that is drafted makes the step longer for everybody in it, and by how much differs between
machines, models and numbers of neighbours: on a CPU a step of two tokens may take twice as long as
a step of one, and one of four hardly longer than that. So it is measured. ``Costs``, one for an
engine, keeps how long steps without drafts take, and how many of these a step with drafts is worth.
``Faith``, one for a session, keeps how often a proposed token was the one that came; it learns from
proposals that were not drafted too, which costs nothing, and apart for each length of what the text
has in common with the place that is quoted. ``Judge`` puts them together: the draft that brings the
most tokens a second, of all streams in the step; none where that is not more than without.

A reproducible session is not judged: the clock would decide what it computes.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence

import attrs

from headrace.engine.drafters import LookupDrafter
from headrace.params.speculation import PromptLookup

LONGEST = 15
"""Most tokens drafted at a time."""
WORTH = 1.03
"""What a draft has to promise: so many times the tokens a second."""
_UNTRIED = 0.25
"""What a token more is taken to add to a step of a width that was never tried, in steps."""
_FIRST = 3
"""Tokens of the first draft: with the one before them a call of four, which kernels like."""
_SMOOTH = 0.2
"""Share of the latest step in an average."""
_PATIENCE, _LONGEST_PATIENCE = 128, 2048
"""Steps without a draft after which one is tried that would pay at half its cost."""
_IN_A_ROW = 32
"""Steps with drafts after which one is made without, to know what that takes."""
_LOOKING = 0.02
"""Share of a step's time that may go into looking for something to propose."""
_LONGEST_REST = 32
"""Most tokens between two looks."""
_RUNS = (4, 8, 16)
"""Lengths of what is in common with the quoted place, from each of which on it counts apart."""
_PRIOR = (0.15, 0.25, 0.5, 0.9)
"""How often a token is taken to hold before anything was seen, by these lengths."""
_PRIOR_WEIGHT = 3.0
"""Tokens that this is worth."""
_FORGET = 0.95
"""What is left of older counts after each proposal."""


class Costs:
    """How long steps take, by their rows and the tokens drafted; the driver's.

    Every number is one store. A step that is handed out twice weighs a little more.
    """

    def __init__(self) -> None:
        self._plain: dict[int, float] = {}
        self._ratios: dict[int, dict[int, float]] = {}
        self._waited = 0
        self._patience = _PATIENCE
        self._in_a_row = 0

    def learn(self, rows: int, drafted: int, seconds: float) -> None:
        """Average in a step that only decoded.

        Args:
            rows: Sequences in it.
            drafted: Tokens of all their drafts.
            seconds: What it took.
        """
        if seconds <= 0:
            return
        plain = self._plain.get(rows)
        if not drafted:
            self._waited += 1
            self._in_a_row = 0
            # A step that another program held up says little: it counts as twice the usual.
            self._plain[rows] = seconds if plain is None else _average(plain, seconds)
        elif plain is not None:
            self._waited = 0
            self._in_a_row += 1
            ratios = self._ratios.setdefault(rows, {})
            # So many tokens one by one never take longer, but for what disturbs.
            ratio = min(max(seconds / plain, 1.0), 1.0 + drafted)
            old = ratios.get(drafted)
            ratios[drafted] = ratio if old is None else _average(old, ratio)

    def seconds(self, rows: int) -> float | None:
        """What a step without drafts takes; None if there was none yet."""
        return self._plain.get(rows)

    def ratio(self, rows: int, drafted: int) -> float:
        """How many steps without drafts one with so many drafted tokens is worth."""
        known = self._ratios.get(rows, {})
        widths = sorted(known)
        at = bisect_left(widths, drafted)
        below, low = (widths[at - 1], known[widths[at - 1]]) if at else (0, 1.0)
        if at == len(widths):
            # Hopeful: it is tried once, where nearly all of it will hold, and then known.
            slope = min(_UNTRIED, (low - 1.0) / below) if below else _UNTRIED
            return low + slope * (drafted - below)
        above = widths[at]
        share = (drafted - below) / (above - below)
        return low + share * (known[above] - low)

    def reach(self, rows: int) -> int:
        """Most tokens to draft in a step: not many more than were tried."""
        known = self._ratios.get(rows)
        return max(_FIRST, 2 * max(known)) if known else _FIRST

    def ready(self, rows: int) -> bool:
        """Whether a draft can be judged now: it is known what a step without one takes."""
        return rows in self._plain and self._in_a_row < _IN_A_ROW

    @property
    def may_try(self) -> bool:
        """Whether it is time to find out whether what did not pay pays now."""
        return self._waited >= self._patience

    def tried(self, *, paid: bool) -> None:
        """Note what a trial was worth: after one that did not pay the next is later."""
        self._patience = _PATIENCE if paid else min(2 * self._patience, _LONGEST_PATIENCE)


def _average(old: float, new: float) -> float:
    return old + _SMOOTH * (min(new, 2 * old) - old)


@attrs.frozen
class Faith:
    """How often proposed tokens were those that came, by how much there was in common."""

    held: tuple[float, ...] = tuple(_PRIOR_WEIGHT * each for each in _PRIOR)
    failed: tuple[float, ...] = tuple(_PRIOR_WEIGHT * (1 - each) for each in _PRIOR)

    def chance(self, run: int) -> float:
        """Of a proposed token to hold, if those before it did."""
        at = _kind(run)
        return self.held[at] / (self.held[at] + self.failed[at])

    def after(self, run: int, held: int, *, failed: bool) -> Faith:
        """The faith after a proposal of which so many tokens held, and then perhaps one did not.

        Every token that holds makes what is in common longer by one, so it counts for that.
        """
        faith = self
        ends = [*_RUNS, run + held + 1]
        for at in range(_kind(run), _kind(run + held) + 1):
            here = min(ends[at], run + held + 1) - max(run, ends[at - 1] if at else 0)
            last = at == _kind(run + held)
            faith = Faith(
                _added(faith.held, at, here - last),
                _added(faith.failed, at, int(failed and last)),
            )
        return faith


def _kind(run: int) -> int:
    return sum(run >= each for each in _RUNS)


def _added(counts: tuple[float, ...], at: int, number: int) -> tuple[float, ...]:
    return tuple(_FORGET * each + number if i == at else each for i, each in enumerate(counts))


@attrs.define(eq=False)
class Judge:
    """Decides how much is drafted in each step; one for an engine, the driver's."""

    costs: Costs = attrs.field(factory=Costs)
    _step: int = -1
    _drafted: int = 0
    _gained: float = 0.0

    def length(self, step: int, rows: int, chances: Sequence[float]) -> int:
        """How many tokens to draft for one more of the rows of a step.

        Args:
            step: Which one; what was decided for its other rows counts.
            rows: Sequences that will be in it.
            chances: Of each token there is to draft: to hold, if those before it did.
        """
        if step != self._step:
            self._step, self._drafted, self._gained = step, 0, 0.0
        if not self.costs.ready(rows):
            return 0
        chances = chances[: max(0, self.costs.reach(rows) - self._drafted)]
        length, gain = self._best(rows, chances, 1.0)
        if not length and self.costs.may_try:
            length, gain = self._best(rows, chances, 0.5)
            if length:
                self.costs.tried(paid=False)
        elif length:
            self.costs.tried(paid=True)
        self._drafted += length
        self._gained += gain
        return length

    def _best(self, rows: int, chances: Sequence[float], share: float) -> tuple[int, float]:
        """The length that brings most tokens a second, and the tokens it brings in all."""

        def rate(gained: float, drafted: int) -> float:
            return (rows + gained) / (1 + share * (self.costs.ratio(rows, drafted) - 1))

        best, most = (0, 0.0), WORTH * rate(self._gained, self._drafted)
        gained, all_hold = 0.0, 1.0
        for length, chance in enumerate(chances, start=1):
            all_hold *= chance
            gained += all_hold
            found = rate(self._gained + gained, self._drafted + length)
            if found > most:
                best, most = (length, gained), found
        return best


@attrs.frozen
class Situation:
    """What the next step will be."""

    step: int
    rows: int
    """Sequences in it, if all of them decode."""


class JudgedDrafter:
    """Prompt lookup that drafts as much as pays, and nothing where nothing does.

    Args:
        judge: The engine's.
        situation: Tells what the next step will be; None if that is not to be judged.
        clock: Seconds, for what looking takes.
    """

    def __init__(
        self,
        judge: Judge,
        situation: Callable[[], Situation | None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._judge = judge
        self._situation = situation
        self._clock = clock
        self._lookup = LookupDrafter(PromptLookup(max_draft=LONGEST), free=True)
        self.faith = Faith()
        self._open: tuple[int, int, Sequence[int]] | None = None
        """Where the last proposal began, what it had in common, and its tokens."""
        self._looking = 0.0
        self._rest = range(0)
        """Lengths of the line at which nothing is looked for, because looking takes too long."""

    def propose(
        self,
        line: list[int],
        limit: int,
        over: Callable[[], bool],
        deadline: float | None,
    ) -> Sequence[int]:
        """What followed the last time, as far as drafting it pays."""
        situation = self._situation()
        if situation is None or len(line) in self._rest:
            return ()
        began = self._clock()
        self._settle(line)
        tokens = self._lookup.propose(line, LONGEST, over, deadline)
        run = self._lookup.run
        if tokens and self._open is None:
            self._open = (len(line), run, tokens)
        self._looking += _SMOOTH * (self._clock() - began - self._looking)
        seconds = self._judge.costs.seconds(situation.rows)
        if seconds:
            rest = min(int(self._looking / (_LOOKING * seconds)), _LONGEST_REST)
            self._rest = range(len(line) + 1, len(line) + 1 + rest)
        if not tokens:
            return ()
        most = min(limit, len(tokens))
        chances = [self.faith.chance(run + at) for at in range(most)]
        return tokens[: self._judge.length(situation.step, situation.rows, chances)]

    def _settle(self, line: list[int]) -> None:
        """Learn from the last proposal, drafted or not, once it is known what came instead."""
        if self._open is None:
            return
        began, run, tokens = self._open
        came = line[began:]
        held = 0
        for proposed, token in zip(tokens, came, strict=False):
            if proposed != token:
                break
            held += 1
        failed = held < min(len(tokens), len(came))
        if failed or held == len(tokens):
            self.faith = self.faith.after(run, held, failed=failed)
            self._open = None
        elif not came:
            self._open = None  # the line was cut

    def interrupt(self) -> None:
        """It is never long at work."""

    def close(self) -> None:
        """It holds nothing."""
