"""Log-probabilities and scores."""

from __future__ import annotations

import math

import attrs

from headrace.results import Capability
from headrace.testing.kit import Kit, expect, expect_equal
from headrace.testing.rules import rule

LOGPROBS = (Capability.TOKENIZE, Capability.LOGPROBS)
SCORE = (Capability.TOKENIZE, Capability.SCORE)


@rule("logprobs.beside", needs=LOGPROBS)
def beside(kit: Kit) -> None:
    """Each token has its log-probability beside it."""
    sampling = attrs.evolve(kit.subject.sampling, logprobs=3)
    with kit.session() as session:
        stream = kit.stream(session, n=10, sampling=sampling)
        for chunk in stream:
            expect_equal(tuple(each.token for each in chunk.logprobs), chunk.tokens, "tokens")
        done = stream.result
        expect_equal(tuple(each.token for each in done.logprobs), done.tokens, "tokens of all")
        expect(all(each.logprob <= 0 for each in done.logprobs), "a log-probability is above 0")


@rule("logprobs.top", needs=LOGPROBS)
def top(kit: Kit) -> None:
    """The alternatives are as many as asked for, best first."""
    sampling = attrs.evolve(kit.subject.sampling, logprobs=3)
    with kit.session() as session:
        for each in kit.say(session, n=6, sampling=sampling).logprobs:
            values = [logprob for _, logprob in each.top]
            expect_equal(len(values), 3, "alternatives")
            expect(values == sorted(values, reverse=True), f"not best first: {values}")
            expect(each.logprob <= values[0] + 1e-6, f"{each.logprob} is more than {values[0]}")
            named = dict(each.top).get(each.token, each.logprob)
            expect_equal(named, each.logprob, "the chosen one among the alternatives")


@rule("logprobs.unasked", needs=LOGPROBS)
def unasked(kit: Kit) -> None:
    """Without being asked for there are none."""
    with kit.session() as session:
        expect_equal(kit.say(session, n=3).logprobs, (), "logprobs")


@rule("logprobs.sum", needs=LOGPROBS)
def sum_of_all(kit: Kit) -> None:
    """The probabilities of the alternatives add up to 1 at most."""
    sampling = attrs.evolve(kit.subject.sampling, logprobs=100)
    with kit.session() as session:
        for each in kit.say(session, n=6, sampling=sampling).logprobs:
            known = {**dict(each.top), each.token: each.logprob}
            total = math.fsum(map(math.exp, known.values()))
            expect(total <= 1.001, f"{len(known)} tokens have together the probability {total:.3f}")


@rule("score.as_generated", needs=[*SCORE, Capability.LOGPROBS])
def as_generated(kit: Kit) -> None:
    """Generated tokens score as they were generated."""
    sampling = attrs.evolve(kit.subject.sampling, logprobs=0)
    with kit.session() as writer, kit.session() as session:
        done = kit.say(writer, n=12, sampling=sampling)
        kit.say(session, n=0)
        score = session.score(done.tokens)
        expect_equal(score.tokens, done.tokens, "tokens of the score")
        for found, wanted in zip(score.logprobs, done.logprobs, strict=True):
            # Batches of other sizes are computed with other kernels.
            near = found is not None and abs(found - wanted.logprob) <= 0.02
            expect(near, f"scored {found}, generated with {wanted.logprob}")


@rule("score.leaves", needs=SCORE)
def score_leaves(kit: Kit) -> None:
    """Scoring leaves the session as it is."""
    with kit.session() as session:
        kit.say(session, n=4)
        before = session.tokens
        score = session.score(" something else")
        expect(score.total <= 0, f"a log-probability of {score.total}")
        expect_equal(session.tokens, before, "history")
        expect(kit.say(session, None, n=2).text, "nothing was written afterwards")


@rule("score.top", needs=[*SCORE, Capability.LOGPROBS])
def score_top(kit: Kit) -> None:
    """The alternatives of a score are those that were told when its tokens were generated."""
    sampling = attrs.evolve(kit.subject.sampling, logprobs=5)
    with kit.session() as writer, kit.session() as session:
        done = kit.say(writer, n=6, sampling=sampling)
        kit.say(session, n=0)
        score = session.score(done.tokens, top=5)
    expect_equal(len(score.top), len(done.logprobs), "places with alternatives")
    for found, wanted in zip(score.top, done.logprobs, strict=True):
        for (_, one), (_, other) in zip(found, wanted.top, strict=True):
            near = abs(one - other) <= max(0.02, kit.subject.tie)
            expect(near, f"alternatives are scored {found}, and told as {wanted.top}")
