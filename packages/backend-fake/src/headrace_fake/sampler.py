"""How the fake chooses a token: from its script, or from a hash of all that is in memory.

With a script, a generation writes the script from its beginning; the sampler,
which lives as long as the generation, counts how far it is. Without one, the
token depends on the options' seed and on every token in memory, so that the
text is a function of the history alone, as a model's is. A temperature above
0 adds the sampling seed and the count, a repeat penalty the recent tokens.

Either way the sampler knows what memory must hold when it is asked again: what
it held, and the token it chose. Anything else is an engine's mistake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from headrace.params import SamplingParams
from headrace_fake import chain
from headrace_fake.misuse import MisuseLog
from headrace_fake.options import FakeOptions
from headrace_fake.vocabulary import EOS

_LETTERS = b"      eeeeetttaaaooiinnsshhrrddllcumwfgypb"
"""What seeded text is made of, as often as each is wanted."""


class FakeSampler:
    """Chooses the tokens of one generation."""

    def __init__(
        self,
        options: FakeOptions,
        params: SamplingParams,
        *,
        owner: object,
        misuse: MisuseLog,
        seed: int,
        recent: Sequence[int],
        ban_eog: bool,
    ) -> None:
        self.owner = owner
        """The decoder it was made by."""
        self.closed = False
        self._script = options.script
        self._mean_length = options.mean_length
        self._ban_eog = ban_eog
        self._misuse = misuse
        self._salt = options.seed
        self._draws = params.temperature > 0
        if self._draws:
            self._salt = chain.scatter(options.seed, seed + 1)
        self._recent: deque[int] | None = None
        if params.repeat_penalty != 1.0:
            self._recent = deque(recent, maxlen=params.repeat_last_n)
        # (count, hash that memory must have next, token chosen, step it was chosen in): one
        # tuple, so that an interrupt between two bytecodes leaves the old one or the new one.
        self._state: tuple[int, int | None, int, int] = (0, None, -1, -1)

    def sample(self, step_id: int, memory_hash: int) -> int:
        """Choose the token that follows what is in memory, and accept it."""
        count, expected, _, _ = self._state
        if expected is not None and expected != memory_hash:
            self._misuse.refuse(
                f"memory must hold what it held when token {count} of this generation was "
                "chosen, and that token; it holds something else"
            )
        token = self._seeded(memory_hash, count) if self._script is None else self._written(count)
        if self._recent is not None:
            self._recent.append(token)
        self._state = (count + 1, chain.link(memory_hash, token), token, step_id)
        return token

    def chosen_in(self, step_id: int) -> tuple[int, ...]:
        """The token chosen in a step, if one was."""
        _, _, token, when = self._state
        return (token,) if when == step_id else ()

    def close(self) -> None:
        """Closing again does nothing."""
        self.closed = True

    def _written(self, count: int) -> int:
        script = self._script or b""
        if count < len(script):
            return script[count]
        if not self._ban_eog:
            return EOS
        return script[count % len(script)] if script else ord(" ")

    def _seeded(self, memory_hash: int, count: int) -> int:
        salt = self._salt + count if self._draws else self._salt
        if self._recent is not None:
            salt ^= chain.links(chain.EMPTY, self._recent)[-1] if self._recent else 1
        bits = chain.scatter(memory_hash, salt)
        letter = _LETTERS[bits % len(_LETTERS)]
        ends = self._mean_length and (bits >> 32) % self._mean_length == 0
        return EOS if ends and not self._ban_eog else letter
