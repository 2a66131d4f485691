"""``Pace``: how much is worth drafting, judged by how the last drafts fared.

A rejected token is computed for nothing, so a text in which drafts fail must not go on paying for
them, and one in which they hold should get long ones. The rule, in tokens:

- A draft accepted whole: the next may be twice as long.
- One accepted in part: the next is as long.
- One rejected at once is a miss: the next is half as long, and nothing is drafted for
  16 tokens, then 32, then 64; by then what is tried is one token, so that the worst text
  makes one wider call in 65.
- Anything accepted halves the count of misses. It is not simply forgotten: in a text where one
  draft in three holds, the pauses stay long.

Pauses come before short drafts, because the first drafted token costs most: with llama.cpp on a
CPU a call of two tokens took three times as long as a call of one, a call of eight six times.

Only counts of tokens go in, no time and no chance. So the same text has the same drafts, unless
sessions beside it leave less room for them.
"""

from __future__ import annotations

import attrs

_FIRST = 3
"""Tokens of a generation's first draft: with the one before them a call of four."""
_LONGEST_PAUSE = 64


@attrs.frozen(kw_only=True)
class Pace:
    """What one generation has learned of its drafts.

    A value, replaced in one store: a driver that dies before it leaves nothing half done, and
    the next one that hands out the same step comes to the same.
    """

    most: int
    """Longest draft the session asked for."""
    length: int = attrs.field()
    """Longest draft that is worth trying."""
    misses: int = 0
    """Drafts rejected at once, less what later acceptances made good."""
    paused_until: int = 0
    """Tokens of the generation before which nothing is drafted."""
    learned_at: int = -1
    """Tokens of the generation before the last step that was learned from."""

    @length.default
    def _first_length(self) -> int:
        return min(_FIRST, self.most)

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
        if accepted == proposed:
            length = min(2 * self.length, self.most)
        elif not accepted:
            length = max(self.length // 2, 1)
        else:
            length = self.length
        if accepted:
            return attrs.evolve(self, length=length, misses=self.misses // 2, learned_at=produced)
        misses = self.misses + 1
        pause = min(8 * 2**misses, _LONGEST_PAUSE)
        return attrs.evolve(
            self,
            length=length,
            misses=misses,
            paused_until=produced + 1 + pause,  # a step brings one token, whatever is rejected
            learned_at=produced,
        )
