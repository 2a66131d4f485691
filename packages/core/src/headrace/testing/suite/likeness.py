"""Whether two generations are the same, up to ties that other kernels may decide otherwise."""

from __future__ import annotations

from typing import Any

import attrs

from headrace.results import Capability, Completion, TokenLogprob
from headrace.session import Session
from headrace.testing.kit import Kit, expect, expect_equal

_N_TOP = 8
"""Alternatives among which a tie is looked for."""


def told(kit: Kit, session: Session, prompt: Any = ..., n: int = 12, **more: Any) -> Completion:
    """A completion, with what is needed to see a tie."""
    return kit.say(session, prompt, n=n, sampling=told_sampling(kit), **more)


def told_sampling(kit: Kit) -> Any:
    """The subject's sampling, with log-probabilities where the model has them."""
    sampling = kit.subject.sampling
    if kit.subject.tie and Capability.LOGPROBS in kit.model.capabilities:
        return attrs.evolve(sampling, logprobs=_N_TOP)
    return sampling


def expect_alike(kit: Kit, found: Completion, wanted: Completion, what: str) -> None:
    """Complain unless both wrote the same, or went apart at a tie."""
    if not (found.tokens and wanted.tokens):
        _expect_alike_texts(kit, found.text, wanted.text, what)
        return
    for at, (got, want) in enumerate(zip(found.tokens, wanted.tokens, strict=False)):
        if got != want:
            tie = bool(wanted.logprobs) and _is_tie(wanted.logprobs[at], got, kit.subject.tie)
            expect(tie, f"{what}: token {at} is {got}, not {want}: {_both(found, wanted)}")
            return
    expect_equal(len(found.tokens), len(wanted.tokens), f"{what}: tokens")


def _is_tie(told: TokenLogprob, other: int, tie: float) -> bool:
    near = dict(told.top).get(other)
    return near is not None and abs(near - told.logprob) <= tie


def _expect_alike_texts(kit: Kit, found: str, wanted: str, what: str) -> None:
    # Nothing tells how near the alternatives were: a beginning in common must do.
    if kit.subject.tie and found[:1] == wanted[:1]:
        return
    expect_equal(found, wanted, f"{what}: text")


def _both(found: Completion, wanted: Completion) -> str:
    return f"{found.text!r:.80} instead of {wanted.text!r:.80}"


def most_alike(kit: Kit, found: list[str], wanted: list[str], what: str) -> None:
    """Complain unless these drawn texts are the same, or most of them where there may be ties."""
    if kit.subject.tie:
        same = sum(one == other for one, other in zip(found, wanted, strict=True))
        expect(2 * same > len(wanted), f"{what}: {len(wanted) - same} of {len(wanted)} differ")
    else:
        expect_equal(found, wanted, what)
