"""How tokens are chosen: their distribution follows from log-probabilities and parameters.

The statistical tests draw with fixed seeds; ``headrace.testing.suite.distribution.bound`` says how
far off chance may be, and why no backend that keeps a rule fails it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from headrace.params import SamplingParams
from headrace.results import Capability, TokenLogprob
from headrace.testing.kit import Kit, NotApplicable, expect
from headrace.testing.rules import rule
from headrace.testing.suite.distribution import (
    Weighed,
    bound,
    candidates,
    draws,
    expect_seen,
    expect_share,
    head,
    heated,
    plain,
)

LOGPROBS = (Capability.TOKENIZE, Capability.LOGPROBS)
_SLACK = 1e-3
"""Of log-probabilities that are compared with a limit."""

Kept = Callable[[Weighed], Weighed]


@rule("sampling.plain", needs=LOGPROBS)
def plainly(kit: Kit) -> None:
    """Without samplers tokens are drawn as often as their log-probabilities say."""
    drawn = draws(kit, plain())
    expect_share(kit, [(each, candidates(kit, each)) for each in drawn], "without samplers")


@rule("sampling.temperature", needs=LOGPROBS)
def temperature(kit: Kit) -> None:
    """A temperature divides the logits."""
    tells = False
    for value in (0.25, 4.0):
        drawn = draws(kit, plain(temperature=value, top_k=50))
        known = [(each, candidates(kit, each)[:50]) for each in drawn]
        hot = [(each, heated(weighed, value)) for each, weighed in known]
        tells = tells or _differ([each for _, each in known], [each for _, each in hot])
        expect_share(kit, hot, f"at temperature {value:g}")
    if not tells:
        raise NotApplicable("the model's tokens are equally likely, or certain, at any temperature")


def _differ(cold: list[Weighed], hot: list[Weighed]) -> bool:
    """Whether a temperature that is ignored would be seen."""
    gaps = []
    for plainly, heated_ in zip(cold, hot, strict=True):
        half, weights = head(heated_), dict(heated(plainly, 1.0))
        gaps.append(sum(weights[token] for token in half) - sum(half.values()))
    return abs(math.fsum(gaps)) / len(gaps) > 1.5 * bound(len(gaps))


def _truncated(
    kit: Kit, name: str, sampling: SamplingParams, limit: Callable[[Weighed], float], kept: Kept
) -> None:
    """Nothing below the limit is drawn; what is kept is drawn as often as it should be."""
    drawn = draws(kit, sampling)
    known = [(each, candidates(kit, each)) for each in drawn]
    near = math.exp(-_SLACK - kit.subject.tie)
    for each, weighed in known:
        least = limit(weighed) if weighed else 0.0
        share = dict(weighed).get(each.token, 0.0)
        expect(
            share >= least * near,
            f"with {name} token {each.token} was drawn, of probability {share:.3g}; "
            f"what is kept has at least {least:.3g}",
        )
    expect_share(kit, [(each, heated(kept(all_), 1.0)) for each, all_ in known], f"with {name}")
    expect_seen((_outside(all_, limit(all_) * near) for _, all_ in known if all_), name)


def _outside(weighed: Weighed, least: float) -> float:
    """Probability of what is below a limit."""
    return 1 - sum(each for _, each in weighed if each >= least) if least else 0.0


@rule("sampling.top_k", needs=LOGPROBS)
def top_k(kit: Kit) -> None:
    """Top-k keeps the k likeliest tokens, and what they are among themselves."""
    _truncated(
        kit,
        "top_k=3",
        plain(top_k=3),
        lambda weighed: weighed[2][1] if len(weighed) > 2 else 0.0,
        lambda weighed: weighed[:3],
    )


@rule("sampling.top_p", needs=LOGPROBS)
def top_p(kit: Kit) -> None:
    """Top-p keeps the fewest likeliest tokens that have together the probability p."""
    _truncated(kit, "top_p=0.5", plain(top_p=0.5), _last_of_nucleus, _nucleus)


def _nucleus(weighed: Weighed) -> Weighed:
    found = head(weighed)
    # Where the tokens that are told have less than that, others are kept that are not known.
    return [each for each in weighed if each[0] in found] if sum(found.values()) >= 0.5 else []


def _last_of_nucleus(weighed: Weighed) -> float:
    return min((each for _, each in _nucleus(weighed)), default=0.0)


@rule("sampling.min_p", needs=LOGPROBS)
def min_p(kit: Kit) -> None:
    """Min-p drops what is less likely than this share of the likeliest token."""
    _truncated(
        kit,
        "min_p=0.4",
        plain(min_p=0.4),
        lambda weighed: 0.4 * weighed[0][1],
        lambda weighed: [each for each in weighed if each[1] >= 0.4 * weighed[0][1]],
    )


@rule("sampling.repeat_penalty", needs=LOGPROBS)
def repeat_penalty(kit: Kit) -> None:
    """A repeat penalty acts on the tokens of the history, and on no others.

    A penalty divides logits above 0 and multiplies those below, and where 0 is log-probabilities do
    not tell. But either a token of the history has a logit above 0: then a penalty of 1e-6 makes
    one of them certain. Or none has: then a penalty of 1e6 excludes all of them. There is no third
    case and no chance in it.
    """
    prompt, known, share = _divided(kit)
    n = math.ceil(math.log(1e-6) / math.log(max(share, 1 - share)))
    excluded = not known & _first_tokens(kit, prompt, 1e6, n)
    certain = _first_tokens(kit, prompt, 1e-6, n) <= known
    expect(
        excluded or certain,
        f"{n} times, tokens of the history and others came with a penalty of 1e6 and with one of "
        f"1e-6; without one {share:.0%} are of the history",
    )


def _divided(kit: Kit) -> tuple[list[int], set[int], float]:
    """A prompt whose tokens have a fair share in what follows it, those tokens, and the share."""
    prompt = kit.model.tokenize(kit.subject.prompt)
    for _ in range(16):
        told = _next(kit, prompt)
        known = set(prompt)
        share = sum(math.exp(logprob) for token, logprob in told.top if token in known)
        if 0.25 <= share <= 0.75:
            return prompt, known, share
        prompt = [*prompt, *(token for token, _ in candidates(kit, told)[:8:2])]
    raise NotApplicable("no history was found whose tokens are as likely to follow as others")


def _next(kit: Kit, prompt: list[int]) -> TokenLogprob:
    with kit.session() as session:
        return kit.say(session, prompt, n=1, sampling=plain(seed=0)).logprobs[0]


def _first_tokens(kit: Kit, prompt: list[int], penalty: float, n: int) -> set[int]:
    found: set[int] = set()
    for seed in range(n):
        sampling = plain(repeat_penalty=penalty, repeat_last_n=-1, seed=seed, logprobs=None)
        with kit.session() as session:
            found.update(kit.say(session, prompt, n=1, sampling=sampling).tokens)
    return found
