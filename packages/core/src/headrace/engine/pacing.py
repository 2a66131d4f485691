"""``Pace``: how much is worth drafting, judged by how the last drafts fared.

A rejected token is computed for nothing, so a text in which drafts fail must not go on paying for
them, and one in which they hold should get long ones. The rule, in tokens:

- A draft accepted whole: the next may be twice as long.
- One of which half or more was accepted: the next is as long.
- One of which less was accepted is a miss: the next is half as long, and nothing is drafted for
  32 tokens, then 64, 128 and 256; by then what is tried is one token, so that the worst text
  makes one wider call in 257.
- Anything else halves the count of misses. It is not simply forgotten: in a text where one
  draft in three holds, the pauses stay long.

Pauses come before short drafts, because the first drafted token costs most: with llama.cpp on a
CPU a call of two tokens took three times as long as a call of one, a call of eight six times.

Only counts of tokens go in, no time and no chance. So the same text has the same drafts, unless
sessions beside it leave less room for them.
"""

from __future__ import annotations

import attrs

FIRST = 3
"""Tokens of a generation's first draft: with the one before them a call of four."""
FIRST_LOOKED_UP = 7
"""The same of looked-up ones, which hold more often: a call of eight."""
_LONGEST_PAUSE = 256


@attrs.frozen(kw_only=True)
class Pace:
    """What one generation has learned of its drafts.

    A value, replaced in one store: a driver that dies before it leaves nothing half done, and
    the next one that hands out the same step comes to the same.
    """

    most: int
    """Longest draft the session asked for."""
    first: int = FIRST
    """Tokens of the first draft."""
    length: int = attrs.field()
    """Longest draft that is worth trying."""
    misses: int = 0
    """Drafts that mostly failed, less what later acceptances made good."""
    paused_until: int = 0
    """Tokens of the generation before which nothing is drafted."""
    learned_at: int = -1
    """Tokens of the generation before the last step that was learned from."""

    @length.default
    def _first_length(self) -> int:
        return min(self.first, self.most)

    def limit(self, produced: int) -> int:
        """Most tokens to draft after so many tokens of the generation."""
        return 0 if produced < self.paused_until else self.length

    def after(self, produced: int, proposed: int, accepted: int) -> Pace:
        """The pace after a step.

        Args:
            produced: Tokens of the generation before it. A step that was learned from already
                changes nothing, nor does one before it.
            proposed: Tokens drafted. None teach nothing.
            accepted: How many of them the model would have written.
        """
        if not proposed or produced <= self.learned_at:
            return self
        if 2 * accepted >= proposed:
            length = min(2 * self.length, self.most) if accepted == proposed else self.length
            return attrs.evolve(self, length=length, misses=self.misses // 2, learned_at=produced)
        misses = self.misses + 1
        pause = min(16 * 2**misses, _LONGEST_PAUSE)
        return attrs.evolve(
            self,
            length=max(self.length // 2, 1),
            misses=misses,
            paused_until=produced + accepted + 1 + pause,  # what the step brought, and the pause
            learned_at=produced,
        )
