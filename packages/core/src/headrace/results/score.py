"""``Score``: how likely a model finds a given text. A frozen value, no behaviour."""

from __future__ import annotations

import math

import attrs


@attrs.frozen(kw_only=True)
class Score:
    """The log-probability of each token of a text, after all that stands before it."""

    tokens: tuple[int, ...]
    """The text's token ids, special ones included."""
    pieces: tuple[bytes, ...]
    """The bytes that each stands for: possibly part of a UTF-8 character, none for a control
    token."""
    logprobs: tuple[float | None, ...]
    """Natural logarithm of each token's probability under the model's own distribution (the
    softmax of its logits). None for the first token of an empty history, before which there is
    nothing to tell it from."""
    top: tuple[tuple[tuple[int, float], ...], ...] = ()
    """For each token the most likely ids in its place with their log-probabilities, best first,
    if ``top=`` asked for them; empty where ``logprobs`` has None."""

    @property
    def scored(self) -> int:
        """Tokens that have a log-probability."""
        return sum(each is not None for each in self.logprobs)

    @property
    def total(self) -> float:
        """Log-probability of the whole text: the sum of those of its tokens."""
        return math.fsum(each for each in self.logprobs if each is not None)

    @property
    def perplexity(self) -> float | None:
        """``exp(−total / scored)`` (Jelinek et al. 1977); None if no token has a log-probability.

        As if each token had been drawn from that many equally likely ones.
        """
        if not self.scored:
            return None
        mean = -self.total / self.scored
        return math.exp(mean) if mean < 700 else math.inf
