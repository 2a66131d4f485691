"""From logits to a token: penalty, top-k, top-p, min-p, temperature, draw."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from headrace.errors import DecodeError
from headrace.params import SamplingParams
from headrace.results import TokenLogprob


def choose(
    logits: torch.Tensor,
    params: SamplingParams,
    *,
    recent: Sequence[int],
    draw: float,
    banned: Sequence[int],
    allowed: memoryview | None,
) -> int:
    """A token; the draw is looked up in the cumulated probabilities.

    Raises:
        DecodeError: If the model computed something that is no number.
    """
    if not torch.isfinite(logits.max()):
        raise DecodeError("the model's logits are no numbers", backend="transformers")
    logits = logits.clone()
    logits[list(banned)] = -torch.inf
    if allowed is not None:
        bytes_ = torch.frombuffer(bytearray(allowed), dtype=torch.uint8)
        bits = bytes_[:, None] >> torch.arange(8, dtype=torch.uint8) & 1
        logits[bits.flatten()[: len(logits)] == 0] = -torch.inf
    if recent:
        seen = torch.tensor(sorted(set(recent)))
        before, penalty = logits[seen], params.repeat_penalty
        logits[seen] = torch.where(before > 0, before / penalty, before * penalty)
    if params.temperature == 0:
        return int(logits.argmax())
    values, ids = logits.topk(min(params.top_k or len(logits), len(logits)))
    likely = values.softmax(0)
    kept = likely.cumsum(0) - likely < params.top_p
    kept &= likely >= params.min_p * likely[0]
    # In double precision, so that the largest draw still finds a token.
    chances = (values[kept].double() / params.temperature).softmax(0).cumsum(0)
    place = int(torch.searchsorted(chances, draw * float(chances[-1]), right=True))
    return int(ids[kept][min(place, len(chances) - 1)])


def logprob(logits: torch.Tensor, token: int, n_top: int) -> TokenLogprob:
    """How likely the token was before any sampler, and the most likely ones."""
    logprobs = logits.log_softmax(0)
    values, ids = logprobs.topk(min(n_top, len(logprobs)))
    top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    return TokenLogprob(token, min(0.0, float(logprobs[token])), top)
