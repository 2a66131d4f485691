"""``SamplingParams``: what turns logits into a token, for one generation."""

from __future__ import annotations

import attrs

from headrace.params.fields import integer, number, strict_names

MAX_SEED = 2**32 - 2
"""Largest seed. 2³²−1 means "draw one at random" to llama.cpp."""


@strict_names
@attrs.frozen(kw_only=True)
class SamplingParams:
    """What turns logits into a token, for one generation.

    The defaults are llama.cpp's.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    temperature: float = attrs.field(
        default=0.8, validator=number(0, note=" (0 takes the most likely token)")
    )
    """Divides the logits: below 1 bolder, above 1 more even; 0 is greedy."""

    top_k: int = attrs.field(default=40, validator=integer(0, 2**31 - 1))
    """Keep the k most likely tokens; 0: all (Holtzman et al., arXiv:1904.09751)."""

    top_p: float = attrs.field(default=0.95, validator=number(0, 1, above=True))
    """Keep the smallest set whose probabilities add up to p; 1: all (arXiv:1904.09751)."""

    min_p: float = attrs.field(default=0.05, validator=number(0, 1))
    """Drop tokens less likely than this share of the most likely one; 0: none."""

    repeat_penalty: float = attrs.field(default=1.0, validator=number(0, above=True))
    """Divides the logits of recent tokens (Keskar et al., arXiv:1909.05858); 1: off."""

    repeat_last_n: int = attrs.field(default=64, validator=integer(0, 2**20))
    """How many recent tokens ``repeat_penalty`` looks at."""

    seed: int | None = attrs.field(default=None, validator=integer(0, MAX_SEED, optional=True))
    """Seed of the draw, 0 … 2³²−2; None: drawn, and reported in the receipt."""
