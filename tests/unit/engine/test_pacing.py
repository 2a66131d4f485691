"""How long drafts are: short where they fail, as long as was asked for where they hold."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import DraftModel, PromptLookup, SessionParams
from headrace.engine import drafting
from headrace.engine.drafters import LookupDrafter
from headrace.engine.pacing import Pace
from tests.unit.engine.conftest import GREEDY

TEXT = "some text"


def drafted(most, tokens, right):
    """Lengths of the drafts in a text of so many tokens; ``right`` of how many are accepted."""
    pace, produced, found = Pace(most=most), 0, []
    while produced < tokens:
        proposed = pace.limit(produced)
        accepted = min(proposed, right(len(found)))
        if proposed:
            found.append(proposed)
        pace = pace.after(produced, proposed, accepted)
        produced += accepted + 1
    return found


def test_what_always_holds_gets_as_long_as_was_asked_for():
    """Doubling, from three or the most."""
    assert drafted(31, 120, lambda _: 31)[:6] == [3, 6, 12, 24, 31, 31]
    assert drafted(3, 20, lambda _: 31) == [3] * 5


def test_what_never_holds_is_hardly_tried():
    """Pauses of 32, 64, 128 and then 256 tokens, between probes of one."""
    assert drafted(31, 96, lambda _: 0) == [3, 1]
    assert drafted(31, 100, lambda _: 0) == [3, 1, 1]
    assert len(drafted(31, 3296, lambda _: 0)) <= 4 + 3200 // 257


def test_a_draft_of_which_half_holds_is_no_miss():
    """One of which less holds shortens the next and makes a pause."""
    pace = Pace(most=31, length=16)
    assert pace.after(0, 16, 12).limit(13) == 16
    assert pace.after(0, 16, 8).limit(9) == 16
    assert pace.after(0, 16, 7).limit(39) == 0
    assert pace.after(0, 16, 7).limit(40) == 8
    assert pace.after(0, 16, 0).limit(32) == 0
    assert pace.after(0, 16, 0).limit(33) == 8


def test_after_a_pause_it_comes_back():
    """A text that begins to quote has long drafts again; two acceptances shorten the next pause."""
    found = drafted(15, 800, lambda number: 0 if number < 4 else 31)
    assert found[:9] == [3, 1, 1, 1, 1, 2, 4, 8, 15]
    assert set(found[9:]) == {15}
    pace = Pace(most=15, length=1, misses=5).after(100, 1, 1)
    assert pace.limit(102) == 2
    pace = pace.after(102, 2, 2).after(105, 4, 0)
    assert pace.limit(106 + 63) == 0
    assert pace.limit(106 + 64) == 2


def test_one_in_three_keeps_the_pauses():
    """An acceptance now and then does not forget all misses."""
    tokens = 600
    found = drafted(15, tokens, lambda number: int(number % 3 == 0))
    assert sum(found) < tokens // 12


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(0, 31)), max_size=60))
def test_a_step_teaches_once_and_stays_within_bounds(steps):
    """Whatever happens; handing a step out again changes nothing, nor does one without a draft."""
    pace, produced = Pace(most=15), 0
    for number, right in steps:
        proposed = min(number, pace.limit(produced))
        accepted = min(proposed, right)
        after = pace.after(produced, proposed, accepted)
        assert after.after(produced, proposed, accepted) == after
        assert 1 <= after.length <= 15
        assert after.paused_until <= produced + accepted + 257
        if not proposed:
            assert after == pace
        pace, produced = after, produced + accepted + 1


def sayings(tokens, seed):
    """Phrases of 2 to 15 tokens that come again and again, each followed by something else."""
    chosen = random.Random(seed)
    phrases = [[chosen.randrange(5000) for _ in range(chosen.randrange(2, 16))] for _ in range(8)]
    line = []
    while len(line) < tokens:
        line += [*chosen.choice(phrases), chosen.randrange(5000, 10**6)]
    return line


def copied(tokens, seed):
    """A passage written out again."""
    passage = sayings(100, seed)[:100]
    return (passage * (tokens // 100 + 1))[:tokens]


def looked_up(text):
    """Steps that 200 tokens of a text take, plain and with lookup.

    A step with drafts costs much what it does with a small model on two CPU threads.
    """
    drafter, pace, at, steps = LookupDrafter(PromptLookup()), Pace(most=15, first=7), 100, 0.0
    while at < 300:
        limit = min(pace.limit(at - 100), 299 - at)
        found = drafter.propose(text[:at], limit, lambda: False, None) if limit > 0 else ()
        pairs = zip(found, text[at:], strict=False)
        accepted = next((i for i, (a, b) in enumerate(pairs) if a != b), len(found))
        steps += 1.0 if not found else 1.9 + 0.85 * -(-(1 + len(found)) // 4)
        pace = pace.after(at - 100, len(found), accepted)
        at += 1 + accepted
    return 200, steps


@pytest.mark.parametrize("seed", range(4))
def test_phrases_that_come_again_are_no_reason_to_draft(seed):
    """A whole passage is."""
    plain, steps = looked_up(sayings(300, seed))
    assert plain / steps > 0.97
    plain, steps = looked_up(copied(300, seed))
    assert plain / steps > 1.5


class Drafter:
    """Knows what comes, and says that or always something else."""

    def __init__(self, future, *, right):
        self.future = future
        self.right = right
        self.lengths = []

    def propose(self, line, limit, over, deadline):
        """As many as are wanted."""
        self.lengths.append(limit)
        tokens = self.future[len(line) :][:limit]
        return tokens if self.right else [token + 1 for token in tokens]

    def interrupt(self):
        """Never long at work."""

    def close(self):
        """Holds nothing."""


def write(fake, monkeypatch, *, right, tokens=200, most=15, small=False, **params):
    """The lengths a drafter was asked for, and what was written with it."""
    engine = fake(script="abcdefghij" * 40)
    with engine.model.open_session() as plain:
        expected = plain.complete(TEXT, sampling=GREEDY, max_tokens=tokens, ignore_eog=True)
        drafter = Drafter(plain.tokens, right=right)
    if small:
        speculate = DraftModel(model=engine.model, max_draft=most)
    else:
        speculate = PromptLookup(max_draft=most)
    monkeypatch.setattr(drafting, "make_drafter", lambda *_: drafter)
    with engine.model.open_session(SessionParams(speculate=speculate, **params)) as session:
        done = session.complete(TEXT, sampling=GREEDY, max_tokens=tokens, ignore_eog=True)
    assert done.tokens == expected.tokens
    return drafter.lengths, done.timings


def test_a_drafter_that_is_always_wrong_is_hardly_asked(fake, monkeypatch):
    """In 200 tokens it drafts eleven."""
    lengths, timings = write(fake, monkeypatch, right=False)
    assert lengths == [7, 3, 1]
    assert timings.drafted_tokens == sum(lengths) == 11
    assert timings.accepted_tokens == 0


def test_a_drafter_that_is_always_right_gets_all_it_may(fake, monkeypatch):
    """And every token of it is accepted."""
    lengths, timings = write(fake, monkeypatch, right=True)
    assert lengths[:3] == [7, 14, 15]
    assert set(lengths[2:-1]) == {15}
    assert timings.accepted_tokens == timings.drafted_tokens > 170


@pytest.mark.parametrize(("small", "asked"), [(False, 60), (True, 12)], ids=["lookup", "model"])
def test_where_calls_are_filled_up_only_what_costs_is_saved(fake, monkeypatch, small, asked):
    """Looked-up tokens take the place of padding; a small model's have to be computed."""
    lengths, _ = write(
        fake, monkeypatch, right=False, tokens=64, most=7, small=small, reproducible=True
    )
    assert (len(lengths) >= asked) is not small
    assert small is (max(lengths) < 7)
