"""Seeds: of services too, which promise no more than this."""

from __future__ import annotations

from headrace.params import SamplingParams
from headrace.results import Completion
from headrace.testing.kit import Kit, NotApplicable, expect, expect_equal
from headrace.testing.rules import rule


def _drawn(kit: Kit, seed: int) -> Completion:
    sampling = SamplingParams(temperature=2.0, top_k=0, top_p=1.0, min_p=0.0, seed=seed)
    with kit.session() as session:
        done = kit.say(session, n=24, sampling=sampling)
    if done.receipt.seed is None:
        raise NotApplicable("its generations have no seed")
    return done


@rule("seed.repeats")
def repeats(kit: Kit) -> None:
    """The same seed writes the same, where the receipt has one."""
    runs = [_drawn(kit, 7) for _ in range(3)]
    expect_equal({each.receipt.seed for each in runs}, {7}, "seeds of the receipts")
    texts = [each.text for each in runs]
    most = 2 if kit.subject.tie else 1
    expect(len(set(texts)) <= most, f"three runs with one seed wrote {texts!r:.300}")


@rule("seed.differs")
def differs(kit: Kit) -> None:
    """At a high temperature other seeds write something else somewhere."""
    texts = {_drawn(kit, seed).text for seed in range(8)}
    expect(len(texts) > 1, f"eight seeds all wrote {texts!r:.200}")
