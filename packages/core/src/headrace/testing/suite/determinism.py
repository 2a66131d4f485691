"""The same tokens for the same seed, where a session promises it."""

from __future__ import annotations

from collections.abc import Callable

from headrace.params import SamplingParams
from headrace.results import Capability, Completion
from headrace.testing.kit import Kit, expect, expect_equal
from headrace.testing.rules import rule

REPRODUCIBLE = (Capability.REPRODUCIBLE,)


def _drawn(kit: Kit, seed: int | None) -> Completion:
    sampling = SamplingParams(temperature=1.5, top_k=0, top_p=1, min_p=0, seed=seed)
    with kit.session(reproducible=True) as session:
        return kit.say(session, n=24, sampling=sampling)


@rule("determinism.greedy", needs=REPRODUCIBLE)
def greedy(kit: Kit) -> None:
    """A greedy generation repeats."""
    runs = []
    for _ in range(3):
        with kit.session(reproducible=True) as session:
            runs.append(kit.say(session, n=16).text)
    expect(len(set(runs)) == 1, f"three runs wrote {runs!r:.300}")


@rule("determinism.seed", needs=REPRODUCIBLE)
def seed(kit: Kit) -> None:
    """The seed in the receipt is enough to repeat a run."""
    first = _drawn(kit, None)
    expect(first.receipt.seed is not None, "receipt.seed is None")
    again = _drawn(kit, first.receipt.seed)
    expect_equal(again.text, first.text, f"text of a second run with seed {first.receipt.seed}")


@rule("determinism.seeds_differ", needs=REPRODUCIBLE)
def seeds_differ(kit: Kit) -> None:
    """Other seeds write other texts."""
    texts = {_drawn(kit, seed).text for seed in range(6)}
    expect(len(texts) > 1, f"six seeds all wrote {texts!r:.200}")


@rule("determinism.promised")
def promised(kit: Kit) -> None:
    """Exactly reproducible sessions promise it in the receipt."""
    if Capability.REPRODUCIBLE in kit.model.capabilities:
        with kit.session(reproducible=True) as session:
            told = kit.say(session, n=1).receipt
            expect(told.reproducible, f"a reproducible session's receipt says: {told.reason}")
    with kit.session() as session:
        told = kit.say(session, n=1).receipt
        expect(not told.reproducible, f"an ordinary session's receipt promises: {told.reason}")


@rule("determinism.neighbours", needs=REPRODUCIBLE)
def neighbours(kit: Kit) -> None:
    """Neighbours do not change it."""
    with kit.session(reproducible=True) as alone:
        wanted = kit.say(alone, n=10).text
    with kit.session(reproducible=True) as session, kit.session() as other:
        stream, beside = kit.stream(session, n=10), kit.stream(other, "Something else")
        for _ in range(12):
            next(stream, None)
            next(beside, None)
        beside.close()
        expect_equal(stream.result.text, wanted, "text beside another stream")


@rule("determinism.departures", needs=REPRODUCIBLE)
def departures(kit: Kit) -> None:
    """What neighbours leave in memory when they go does not change it."""

    def two_turns(between: Callable[[], object]) -> list[str]:
        with kit.session(reproducible=True) as session:
            first = kit.say(session, n=8).text
            between()
            return [first, kit.say(session, n=12).text]

    wanted = two_turns(lambda: None)
    other = kit.session()
    kit.say(other, "Something else", n=40)
    found = two_turns(other.close)
    expect_equal(found, wanted, "two turns between which a neighbour was closed")
