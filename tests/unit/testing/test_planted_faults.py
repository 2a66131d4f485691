"""The kit judged: a decoder that is right passes, and one with a single fault does not.

Not found, and why: a repeat penalty that is too weak or too strong, as log-probabilities do not
tell where the logits are 0; a temperature that is off by a tenth, which would take more draws than
a suite has time for; a shifted memory that is wrong, unless its author says that it ought to be
exact, as that of attention never is.
"""

from __future__ import annotations

import pytest

from headrace.testing import Status, check_backend
from tests.unit.testing import faulty

FAULTS = {
    # What a step gives, and to whom.
    "rows_swapped": "neighbours.alone",
    "neighbours_seen": "neighbours.alone",
    "draws_shared_by_rows": "neighbours.drawn",
    "penalties_shared_by_rows": "neighbours.penalties",
    "clear_keeps": "neighbours.departed",
    "interrupt_ignored": "cancel.in_time",
    # Memories.
    "state_of_zeros": "state.new_model",
    "state_in_reverse": "state.new_model",
    "truncate_forgets_less": "rewind.as_new",
    "truncate_forgets_more": "rewind.as_new",
    "copy_copies_nothing": "fork.as_new",
    "copy_copies_garbage": "fork.as_new",
    "shift_forgets_others": "shift.as_new",
    "shift_keeps_places": "shift.as_new",
    "shift_does_nothing": "stop.shift",
    "positions_ignored": "history.order_matters",
    "drafts_accepted": "speculate.greedy",
    "drafts_stay": "speculate.greedy",
    # Choices.
    "temperature_ignored": "sampling.temperature",
    "temperature_squared": "sampling.temperature",
    "top_k_ignored": "sampling.top_k",
    "top_k_off_by_one": "sampling.top_k",
    "top_p_ignored": "sampling.top_p",
    "min_p_ignored": "sampling.min_p",
    "penalty_ignored": "sampling.repeat_penalty",
    "penalty_for_all": "sampling.repeat_penalty",
    "penalty_forgets_the_prompt": "sampling.repeat_penalty",
    "seed_ignored": "seed.repeats",
    "seed_constant": "seed.differs",
    "eog_not_banned": "stop.ignore_eog",
    "end_unknown": "stop.ignore_eog",
    "masks_ignored": "grammar.pattern",
    "masks_after_top_k": "grammar.penalties",
    "masks_of_the_first_place": "grammar.drafts",
    "end_banned_under_masks": "grammar.ignored_end",
    # What is told of them.
    "logprobs_of_masks": "grammar.logprobs",
    "logprobs_halved": "logprobs.sum",
    "logprobs_after_temperature": "sampling.plain",
    "logprobs_of_another_token": "logprobs.top",
    "score_off_by_one": "score.as_generated",
    # Text.
    "tokens_of_a_library": "load.writes",
    "text_in_lower_case": "tokens.round_trip",
    "text_without_its_last_space": "tokens.round_trip",
    # The process.
    "prints": "process.output",
    "prints_below_python": "process.output",
    "thread_left": "process.threads",
}
NOT_FOUND = {
    "penalty_too_weak": "sampling.repeat_penalty",
    "temperature_a_tenth_too_high": "sampling.temperature",
}


@pytest.fixture(autouse=True)
def release():
    """Nothing that a fault holds up outlives its test."""
    yield
    faulty.RELEASE.set()
    faulty.RELEASE.clear()


def status(fault: str, rule: str, **more) -> Status:
    """What becomes of a rule with this fault."""
    return check_backend(faulty.subject(fault, **more), rules=[rule]).outcomes[-1].status


def test_a_decoder_that_is_right_keeps_every_rule():
    """Otherwise what follows would mean nothing."""
    report = check_backend(faulty.subject())
    assert report.conforms, str(report)
    inapplicable = {each.rule.area for each in report.of(Status.NOT_APPLICABLE)}
    assert not inapplicable & {"sampling", "neighbours", "speculate", "seed", "shift", "rewind"}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_kit_finds(fault):
    """Each fault by the rule that is about it."""
    more = {"interrupt_seconds": 0.5} if fault == "interrupt_ignored" else {}
    assert status(fault, FAULTS[fault], **more) is Status.FAILED


@pytest.mark.parametrize("fault", NOT_FOUND)
def test_the_kit_does_not_find(fault):
    """What is known to be missing; who makes it found moves it to the others."""
    assert status(fault, NOT_FOUND[fault]) is Status.PASSED


@pytest.mark.parametrize("fault", ["shift_forgets_others", "shift_keeps_places"])
def test_an_inexact_shift_is_found_only_where_it_ought_to_be_exact(fault):
    """An author who can say so should."""
    assert status(fault, "shift.as_new", shifts_exactly=False) is Status.PASSED
