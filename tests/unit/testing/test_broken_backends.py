"""Every rule of the conformance kit can fail: on a backend made to break it."""

from __future__ import annotations

import pytest

from headrace.testing import Status, all_rules, check_backend
from tests.unit.testing.broken import BREAKERS


@pytest.mark.parametrize("rule", sorted(BREAKERS))
def test_the_rule_fails_on_a_backend_that_breaks_it(rule):
    """And says in one line what is wrong."""
    (outcome,) = check_backend(BREAKERS[rule](), rules=[rule]).outcomes
    assert outcome.status is Status.FAILED, outcome
    assert outcome.reason
    assert outcome.traceback


def test_every_rule_has_a_backend_that_breaks_it():
    """And none of them is about a rule that is gone."""
    assert set(BREAKERS) == set(all_rules())
