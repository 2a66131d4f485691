"""One sequence's memory: the tokens themselves, with a running hash and the rules of its kind."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from headrace.protocols import Truncation
from headrace_fake import chain
from headrace_fake.adapters import Flavour
from headrace_fake.cells import Plot


class Memory:
    """What a sequence has in memory.

    The token list alone is authoritative, and every change to it is a single
    call, so that a ``KeyboardInterrupt`` between two bytecodes leaves it either
    changed or not. The hashes are a cache that catches up when asked.
    """

    __slots__ = (
        "_floor",
        "_hashes",
        "_kind",
        "_plot",
        "_reach",
        "flavour",
        "may_be_shifted",
        "tokens",
    )

    def __init__(self, kind: Truncation, reach: int, plot: Plot | None = None) -> None:
        self.tokens: list[int] = []
        self._hashes: list[int] = []
        self._kind = kind
        self._reach = reach
        self._floor = 0
        self._plot = plot
        self.flavour = Flavour()
        """The adapters with which what is in it was computed."""
        self.may_be_shifted = False
        """Whether tokens were forgotten in the middle of any memory of its decoder."""

    def append(self, tokens: Sequence[int]) -> None:
        """Take tokens in at the end."""
        self.tokens.extend(tokens)
        if self._plot is not None:
            self._plot.grow(len(self.tokens))

    @property
    def misplacement(self) -> int:
        """A number that says how the tokens lie; 0 if as in an empty memory, or if no matter."""
        return 0 if self._plot is None else self._plot.shift

    def accept(self, tokens: Sequence[int], drafted: int) -> None:
        """Take in the beginning of a draft; the rest of it was in memory too, and is forgotten."""
        if self._kind is Truncation.RECENT:
            self._floor = max(self._floor, len(self.tokens) + drafted - self._reach)
        if self._plot is not None:
            self._plot.grow(len(self.tokens) + drafted)
            self._plot.cut(len(self.tokens) + len(tokens))
        self.tokens.extend(tokens)
        if len(self.tokens) < self._floor:
            self.truncate(0)

    def hash(self) -> int:
        """The hash of all that is in memory."""
        hashes, tokens = self._hashes, self.tokens
        missing = len(tokens) - len(hashes)
        if missing:
            last = hashes[-1] if hashes else chain.EMPTY
            if missing == 1:
                hashes.append(chain.link(last, tokens[-1]))
            else:
                hashes.extend(chain.links(last, tokens[len(hashes) :]))
        return hashes[-1] if hashes else chain.EMPTY

    def hash_at(self, length: int) -> int:
        """The hash of the first ``length`` tokens, at least one."""
        self.hash()
        return self._hashes[length - 1]

    def forgettable(self, length: int) -> bool:
        """Whether all but the first ``length`` tokens can be forgotten."""
        if length in (0, len(self.tokens)) or self._kind is Truncation.ANY:
            return True
        if self._kind is Truncation.NONE:
            return False
        # The window slides with the longest length there was, and never back.
        self._floor = max(self._floor, len(self.tokens) - self._reach)
        return length >= self._floor

    def shift(self, start: int, stop: int) -> None:
        """Forget tokens in the middle; those after them move down."""
        del self._hashes[start:]
        del self.tokens[start:stop]
        if self._plot is not None:
            self._plot.take_out(start, stop)

    def truncate(self, length: int) -> int:
        """Forget all but the first ``length`` tokens, or everything where that is impossible."""
        length = min(length, len(self.tokens))
        if not self.forgettable(length):
            length = 0
        if length == 0:
            self._floor = 0
            self.flavour = Flavour()
        del self._hashes[length:]
        del self.tokens[length:]
        if self._plot is not None:
            self._plot.cut(length)
        return length

    def write_down(self) -> bytes:
        """All that makes this memory, as bytes."""
        floor = max(self._floor, len(self.tokens) - self._reach)
        shifts = [] if self._plot is None else self._plot.shifts
        return array("i", [floor, self.may_be_shifted, *self.tokens, *shifts]).tobytes()

    def read_back(self, data: memoryview) -> None:
        """Become, from empty, what another memory was."""
        found = array("i")
        found.frombytes(data)
        self._floor = found[0]
        self.may_be_shifted = self.may_be_shifted or bool(found[1])
        written = found[2:].tolist()
        if self._plot is None:
            self.append(written)
        else:
            self.append(written[: len(written) // 2])
            self._plot.shifts[:] = written[len(written) // 2 :]

    def lose(self, length: int) -> int:
        """What an interrupted or failed step leaves, of which ``length`` tokens were finished."""
        return self.truncate(0 if self._kind is Truncation.NONE else length)
