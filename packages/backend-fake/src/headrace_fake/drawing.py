"""How the fake draws a token: what the sampling parameters say, of the likelihoods that it tells.

The samplers come in headrace's order: the repeat penalty, top-k, top-p, min-p, the temperature.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from headrace.params import SamplingParams
from headrace_fake.likelihood import HALF

_Weighed = list[tuple[int, float]]
_NEGLIGIBLE = -60.0
"""A token this much less likely than the first, as a logarithm, is never drawn."""


def draw(
    ranked: Sequence[int], params: SamplingParams, *, recent: Sequence[int], number: float
) -> int:
    """Choose one of the tokens.

    Args:
        ranked: What may be chosen, the likeliest first.
        params: How.
        recent: What the repeat penalty is for.
        number: The random number, 0 ≤ number < 1.
    """
    if params.repeat_penalty == 1.0 or not recent:
        ranked = ranked[: params.top_k or None]  # the order stays: the others need no weight
    logits = _penalised(ranked, params.repeat_penalty, recent)
    if params.temperature == 0:
        return logits[0][0]
    kept = _min_p(_top_p(_top_k(logits, params.top_k), params.top_p), params.min_p)
    return _drawn(kept, params.temperature, number)


def _penalised(ranked: Sequence[int], penalty: float, recent: Sequence[int]) -> _Weighed:
    logits = [(token, (rank + 1) * HALF) for rank, token in enumerate(ranked)]
    if penalty == 1.0 or not recent:
        return logits
    known = set(recent)
    # They are below 0, so that to divide them would be to favour them.
    changed = [(token, at * penalty if token in known else at) for token, at in logits]
    return sorted(changed, key=lambda each: -each[1])


def _top_k(logits: _Weighed, k: int) -> _Weighed:
    return logits[:k] if k else logits


def _top_p(logits: _Weighed, p: float) -> _Weighed:
    if p >= 1:
        return logits
    sums = list(itertools.accumulate(_weights(logits, 1.0)))
    n_below = sum(each < p * sums[-1] for each in sums)
    return logits[: n_below + 1]


def _min_p(logits: _Weighed, p: float) -> _Weighed:
    least = logits[0][1] + math.log(p) if p else -math.inf
    return [each for each in logits if each[1] >= least]


def _weights(logits: _Weighed, temperature: float) -> list[float]:
    most = logits[0][1]
    scaled = ((at - most) / temperature for _, at in logits)
    return [math.exp(each) if each > _NEGLIGIBLE else 0.0 for each in scaled]


def _drawn(logits: _Weighed, temperature: float, number: float) -> int:
    left = number * math.fsum(weights := _weights(logits, temperature))
    for (token, _), weight in zip(logits, weights, strict=True):
        left -= weight
        if left < 0:
            return token
    return logits[0][0]
