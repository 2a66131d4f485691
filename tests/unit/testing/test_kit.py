"""Running the kit: what is asked for, skipped, unfit; and what is reported."""

from __future__ import annotations

import json
import subprocess
import sys

import attrs
import pytest
from click.testing import CliRunner

from headrace import ParamsError, UnsupportedError
from headrace.cli.app import app
from headrace.cli.settings import Settings
from headrace.testing import Status, Subject, all_rules, check_backend
from headrace_fake import FakeBackend
from tests.unit.testing import faulty
from tests.unit.testing.broken import BREAKERS
from tests.unit.testing.scheduled import LoomBackend
from tests.unit.testing.text_only import EchoBackend, EchoSession

HEALTHY = Subject(backend=FakeBackend(mean_length=0), model="fake:")


def test_a_backend_that_knows_only_text_conforms():
    """What needs token ids does not apply; that it lacks them is checked instead."""
    report = check_backend(Subject(backend=EchoBackend(), model="echo:", examples=10))
    assert report.conforms, str(report)
    ends = {each.rule.id: each.status for each in report.outcomes}
    assert ends["lacking.tokenize"] is Status.PASSED
    assert ends["history.order"] is Status.NOT_APPLICABLE
    assert ends["cancel.ends"] is Status.PASSED
    assert ends["async.cancel"] is Status.PASSED


def test_a_library_with_a_scheduler_of_its_own_conforms():
    """Its history is kept by the core, token by token."""
    report = check_backend(Subject(backend=LoomBackend(), model="loom:", examples=10))
    assert report.conforms, str(report)
    ends = {each.rule.id: each.status for each in report.outcomes}
    assert ends["history.order_matters"] is ends["cancel.unread"] is Status.PASSED


def test_a_model_that_cannot_be_loaded_is_told_once():
    """What needs no model is looked at before, nothing after it."""
    report = check_backend(Subject(backend=FakeBackend(load_fault="format"), model="fake:"))
    assert not report.conforms
    (failed,) = report.of(Status.FAILED)
    assert "cannot be loaded" in failed.reason
    assert report.outcomes[-1] is failed
    assert report.stopped == failed.reason
    assert report.summary.endswith(failed.reason)
    assert [each.rule.id for each in report.of(Status.PASSED)] == [
        "discovery.protocol",
        "discovery.can_load",
    ]


class EndsForItself(EchoBackend):
    """A service that cannot be kept from ending."""

    session = type("EndingSession", (EchoSession,), {"takes_ignore_eog": False})


def test_a_backend_that_refuses_ignore_eog_conforms():
    """The rules do without, and those that cannot do not apply."""
    report = check_backend(Subject(backend=EndsForItself(), model="echo:", examples=10))
    assert report.conforms, str(report)
    ends = {each.rule.id: each for each in report.outcomes}
    assert ends["threads.share"].status is Status.PASSED
    assert ends["threads.close"].reason == "the backend takes no ignore_eog=True"


def test_a_rule_that_hangs_fails_with_its_place_and_the_others_go_on():
    """What it left behind is held up, not they."""
    backend = faulty.FaultyBackend("close_hangs")
    subject = Subject(backend=backend, model="faulty:", rule_seconds=0.5)
    rules = ["lifecycle.close_twice", "stop.max_tokens", "stop.string"]
    try:
        report = check_backend(subject, rules=rules)
    finally:
        faulty.RELEASE.set()
        faulty.RELEASE.clear()
    ends = {each.rule.id: each for each in report.outcomes}
    assert ends["stop.string"].status is Status.PASSED
    overdue = ends["lifecycle.close_twice"]
    assert overdue.status is Status.FAILED
    assert "was not over after 0.5 s" in overdue.reason
    assert "RELEASE.wait" in overdue.traceback


def test_a_generation_that_raises_in_a_thread_does_not_hang_the_rule():
    """The one beside it is told."""
    subject = BREAKERS["threads.share"]()
    (outcome,) = check_backend(subject, rules=["threads.close"]).outcomes
    assert outcome.status is Status.FAILED
    assert "not in the thread" in outcome.reason


def test_rules_are_chosen_by_id_and_by_area():
    """In their own order."""
    report = check_backend(HEALTHY, rules=["stop.string", "cancel"])
    wanted = [id for id in all_rules() if id == "stop.string" or id.startswith("cancel.")]
    assert [each.rule.id for each in report.outcomes] == wanted
    assert report.conforms


def test_a_skip_has_a_reason_and_shows_it():
    """In the outcome and in the table."""
    report = check_backend(HEALTHY, rules=["stop"], skip_rules={"stop.string": "no time"})
    assert [each.rule.id for each in report.of(Status.SKIPPED)] == ["stop.string"]
    assert "no time" in str(report)


@pytest.mark.parametrize(
    ("skips", "said"),
    [
        ({"stop.strin": "why"}, "no rule 'stop.strin'.*Did you mean 'stop.string'"),
        ({"stop.string": " "}, r"skip_rules\['stop.string'\] must say why"),
        ({"stop.string": None}, "must say why"),
    ],
)
def test_a_wrong_skip_is_an_error(skips, said):
    """Nothing runs then."""
    with pytest.raises(ParamsError, match=said):
        check_backend(HEALTHY, skip_rules=skips)


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch):
    """Not a failed rule."""
    monkeypatch.setitem(sys.modules, "trio", None)
    with pytest.raises(UnsupportedError, match=r"needs trio.*headrace\[testing\]"):
        check_backend(HEALTHY)


def test_every_rule_has_a_sentence():
    """That ends."""
    for each in all_rules().values():
        assert each.sentence.endswith("."), each
        assert "." in each.id


def test_importing_headrace_imports_nothing_of_it():
    """Nor pytest, nor hypothesis."""
    script = (
        "import sys, headrace; print([m for m in sys.modules if 'testing' in m or 'pytest' in m])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def run(*arguments: str):
    """The command's exit code and output."""
    result = CliRunner().invoke(app, ["conformance", *arguments], obj=Settings())
    return result.exit_code, result.output


def test_the_command_prints_a_table_and_succeeds():
    """With a line of counts below it."""
    code, output = run("--backend", "fake", "--model", "fake:#mean_length=0", "--rule", "stop")
    assert code == 0, output
    assert "holds    stop.string" in output
    assert "0 failed" in output


def test_the_command_fails_with_a_rule():
    """A model that fails in its second step keeps few; the JSON says which and why."""
    code, output = run(
        "--backend", "fake", "--model", "fake:#fault_at=2", "--rule", "stop.string", "--json"
    )
    assert code == 1
    told = json.loads(output)
    assert told["conforms"] is False
    assert told["rules"][0]["status"] == "failed"
    assert told["rules"][0]["reason"]


def test_the_command_lists_the_rules():
    """All of them, with their sentences."""
    code, output = run("--list")
    assert code == 0
    assert len(output.splitlines()) == len(all_rules())


def test_the_command_takes_what_the_subject_has():
    """But for what has options of its own."""
    names = {option.name for option in app.commands["conformance"].params}
    others = {"params", "engine", "sampling", "chat_options"}
    assert {field.name for field in attrs.fields(Subject)} - others <= names


def test_the_command_looks_for_a_model_that_is_not_there():
    """At the reference that it is told."""
    arguments = ("--backend", "fake", "--model", "fake:#mean_length=0", "--rule", "load.missing")
    code, output = run(*arguments, "--missing-model", "fake:Here it is")
    assert code == 1
    assert "fake:Here it is" in output


def test_the_command_stops_at_a_model_that_cannot_be_loaded():
    """With one failure."""
    code, output = run("--backend", "fake", "--model", "fake:#load_fault=format")
    assert code == 1
    assert output.count("FAILS") == 1
    assert "cannot be loaded" in output


def test_the_command_wants_to_know_what_to_test():
    """A usage error, with what to write."""
    code, output = run("--backend", "fake")
    assert code == 2
    assert "--model" in output
