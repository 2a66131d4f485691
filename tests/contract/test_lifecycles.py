"""Every order of closing and dropping, in a process that must end well and print nothing."""

from __future__ import annotations

import pytest

from tests.support.subprocesses import run_script

SCENARIOS = {
    "every_order": 0,
    "adapters_in_every_order": 0,
    "after_errors": 0,
    "alive_at_exit": 0,
    "in_a_cycle_at_exit": 0,
    "read_by_a_daemon_thread": 0,
    "with_an_error_on_its_way": 1,
}


@pytest.mark.parametrize(("scenario", "code"), SCENARIOS.items(), ids=list(SCENARIOS))
def test_the_process_ends_quietly(target, scenario, code):
    """Nothing crashes, hangs or complains, in whatever order things go."""
    script = "import runpy; runpy.run_module('tests.contract.lifecycles', run_name='__main__')"
    ended = run_script(script, target.name, scenario, timeout=600 if target.isolated else 120)
    assert (ended.output, ended.errors, ended.code) == ("", "", code)
