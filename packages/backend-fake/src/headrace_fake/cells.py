"""Where in a memory tokens lie, for a fake whose text depends on it as a library's last bits do.

A kernel adds up what it finds in the order of the cells. Which cells a token gets depends on
those that others hold or have left, so the same tokens may lie otherwise, and then what is
computed is not quite the same.
"""

from __future__ import annotations

from headrace_fake import chain

_MASK = 2**31 - 1


class Cells:
    """The cells that sequences share: each token gets the next free one, from the last on."""

    def __init__(self) -> None:
        self._taken = bytearray()
        self._next = 0

    def take(self) -> int:
        """A cell for a token."""
        cell = self._taken.find(0, self._next)
        if cell < 0:
            cell = len(self._taken)
            self._taken.append(0)
        self._taken[cell] = 1
        self._next = cell + 1
        return cell

    def give_back(self, cells: list[int]) -> None:
        """Let others have them; the search goes on at the first of them."""
        for cell in cells:
            self._taken[cell] = 0
        self._next = min([self._next, *cells])


class Plot:
    """The cells of one sequence, and what its tokens have become by lying there.

    Args:
        cells: Those that it takes its own from.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._held: list[int] = []
        self.shifts: list[int] = []
        """For each token: 0 if it and all before it lie as they would in an empty memory, else
        a number that says how they lie. What was computed from others carries theirs on."""

    @property
    def shift(self) -> int:
        """That of the last token."""
        return self.shifts[-1] if self.shifts else 0

    def grow(self, length: int) -> None:
        """Find cells for as many tokens as there are now."""
        while len(self._held) < length:
            position, cell = len(self._held), self._cells.take()
            moved = cell != position
            self._held.append(cell)
            before = self.shift
            self.shifts.append(chain.link(before, cell) & _MASK if moved else before)

    def cut(self, length: int) -> None:
        """Give back the cells of the tokens from ``length`` on."""
        self.take_out(length, len(self._held))

    def take_out(self, start: int, stop: int) -> None:
        """Give back the cells of some tokens."""
        given = self._held[start:stop]
        del self._held[start:stop]
        del self.shifts[start:stop]
        self._cells.give_back(given)
