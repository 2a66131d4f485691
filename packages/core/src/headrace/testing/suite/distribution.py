"""What follows from reported log-probabilities and sampling parameters: who is drawn how often."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from headrace.params import SamplingParams
from headrace.results import TokenLogprob
from headrace.testing.kit import Kit, NotApplicable, expect

N_TOP = 100
"""Alternatives asked for: the most there may be."""
N_DRAWS = 512
"""Tokens drawn for each test."""
FALSE_ALARM = 1e-9
"""Most probability that a test fails on a backend that keeps its rule."""
OFF = 0.02
"""How far an expected share may be off: by rounding, by ends that are not known as such."""
_LENGTH = 64
"""Tokens of each generation."""
_UNSEEN = 1e-6
"""A fault that would remain unseen with more probability than this is not looked for."""

Weighed = list[tuple[int, float]]
"""Tokens with their probabilities, best first."""


def bound(n: int) -> float:
    """How far a share of ``n`` draws may be from what is expected.

    Each draw is in its set, or not; the set is chosen before the draw, so the sum of what was seen
    less what was expected is a martingale whose steps lie in intervals of length 1. By the
    inequality of Azuma and Hoeffding a mean is off by more than ε with a probability of at most
    2 exp(−2 n ε²). With ε = sqrt(ln(2 / FALSE_ALARM) / (2 n)) that is ``FALSE_ALARM``; ``OFF``
    is added for what is not exact. The seeds are fixed, so a backend that passes once passes.
    """
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n)) + OFF


def plain(**changed: Any) -> SamplingParams:
    """Parameters without any sampler, but for what is changed; log-probabilities are told."""
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "logprobs": N_TOP}
    return SamplingParams(**{**off, **changed})


def draws(kit: Kit, sampling: SamplingParams, n: int = N_DRAWS) -> list[TokenLogprob]:
    """So many tokens, drawn in generations with the seeds 0, 1, 2 and so on."""
    found: list[TokenLogprob] = []
    for seed in itertools.count():
        with kit.session() as session:
            done = kit.say(session, n=_LENGTH, sampling=attrs.evolve(sampling, seed=seed))
        found += done.logprobs
        if len(found) >= n:
            return found[:n]
        if seed >= 4 * n:
            break
    raise NotApplicable(f"the model ends too soon: {len(found)} tokens in {4 * n} generations")


def candidates(kit: Kit, told: TokenLogprob) -> Weighed:
    """What could be drawn, with the probability that it has when an end is banned."""
    ends = ends_of(kit) if kit.ignores_eog else frozenset()
    weighed = [(token, math.exp(logprob)) for token, logprob in told.top]
    left = 1 - sum(weight for token, weight in weighed if token in ends)
    return [(token, weight / left) for token, weight in weighed if token not in ends]


def ends_of(kit: Kit) -> frozenset[int]:
    """The tokens known to end a generation."""
    special = kit.model.info.special_tokens
    return frozenset(special[name] for name in ("eos", "eot", "eom") if name in special)


def heated(weighed: Weighed, temperature: float) -> Weighed:
    """Probabilities at a temperature, of tokens that are all that is kept."""
    weights = [math.exp(math.log(max(each, 1e-300)) / temperature) for _, each in weighed]
    total = math.fsum(weights)
    return [(token, each / total) for (token, _), each in zip(weighed, weights, strict=True)]


def head(weighed: Weighed) -> dict[int, float]:
    """The likeliest tokens that together have half of the probability, or all that are known."""
    found: dict[int, float] = {}
    for token, weight in weighed:
        found[token] = weight
        if sum(found.values()) >= 0.5:
            break
    return found


def expect_share(kit: Kit, drawn: Sequence[tuple[TokenLogprob, Weighed]], what: str) -> None:
    """Complain unless the likelier half is drawn as often as the probabilities say."""
    heads = [(told.token, head(weighed)) for told, weighed in drawn if weighed]
    if not heads:
        raise NotApplicable("the probabilities of too many tokens are not known")
    n = len(heads)
    seen = sum(token in half for token, half in heads) / n
    due = math.fsum(sum(half.values()) for _, half in heads) / n
    kit.note(f"share of the likelier half, {what}", seen)
    expect(
        abs(seen - due) <= bound(n),
        f"{what}: the likelier half was drawn {seen:.1%} of {n} times, {due:.1%} is due, "
        f"and by chance it is not further off than {bound(n):.1%}",
    )


def expect_seen(chances: Iterable[float], what: str) -> None:
    """Say that a rule does not apply where a backend that ignored it would hardly be seen.

    Args:
        chances: For each draw the probability that it shows a fault that is there.
        what: What would be ignored.
    """
    unseen = math.prod(max(0.0, 1 - each) for each in chances)
    if unseen > _UNSEEN:
        raise NotApplicable(
            f"the model is too sure of its tokens for {what} to matter: "
            f"ignored, it would remain unseen with a probability of {unseen:.1g}"
        )
