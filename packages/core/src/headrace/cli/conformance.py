"""``headrace conformance``: runs the conformance kit on a backend and prints what holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import click

from headrace.cli.limits import time_limit
from headrace.cli.load import with_options
from headrace.cli.model_options import model_options
from headrace.cli.options import FILE, debug_option, given, json_option
from headrace.cli.settings import settings, timeout
from headrace.cli.texts import write_json
from headrace.errors import ParamsError

if TYPE_CHECKING:
    from headrace.testing.report import Outcome

_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


def subject_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the kit may be told of a subject, as the Python class has it."""
    for option in reversed(_SUBJECT_OPTIONS):
        command = option(command)
    return command


_SUBJECT_OPTIONS = (
    click.option("--adapter", type=FILE, metavar="PATH", help="A LoRA adapter of the model."),
    click.option(
        "--missing-model",
        type=FILE,
        metavar="REF",
        help="A reference of the backend's at which there is nothing; to load it must fail.",
    ),
    click.option(
        "--damaged-model",
        type=FILE,
        metavar="REF",
        help="A model that is damaged; to load it must fail.",
    ),
    click.option("--prompt", metavar="TEXT", help="What generations begin with."),
    click.option(
        "--ending-prompt",
        metavar="TEXT",
        help="A prompt after which the model, greedy, ends by itself within 32 tokens.",
    ),
    click.option(
        "--ignore-eog/--no-ignore-eog",
        default=None,
        help="Whether the backend can be told not to end; unless given, it is tried.",
    ),
    click.option("--pooling", metavar="NAME", help="For embeddings."),
    click.option("--examples", type=click.IntRange(1), help="Examples of each property test."),
    click.option(
        "--most-buffered",
        type=click.IntRange(0),
        help="Tokens that a stream may hold for a reader who does not read.",
    ),
    click.option(
        "--tie",
        type=click.FloatRange(0),
        help="Log-probabilities nearer than this may change places in other batches; "
        "unless given, none may.",
    ),
    click.option(
        "--shifts-exactly",
        is_flag=True,
        default=None,
        help="A shifted memory is what a new one with the same tokens is.",
    ),
    click.option(
        "--interrupt-seconds",
        type=click.FloatRange(0, min_open=True),
        help="Within which a cancel ends a stream, inside of a step too.",
    ),
    click.option(
        "--rule-seconds",
        type=click.FloatRange(0, min_open=True),
        help="Time limit of each rule.",
    ),
)


@click.command()
@click.option("--model", type=FILE, metavar="REF", help="A small model that the backend can load.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="ID",
    help="Only this rule, or this area, such as cancel; may be repeated.",
)
@click.option(
    "--skip",
    "skips",
    multiple=True,
    metavar="ID=REASON",
    help="Do not look at a rule, and why; may be repeated.",
)
@subject_options
@click.option("--chat-template", metavar="TEXT", help="A chat template, for a model that has none.")
@click.option("--list", "listing", is_flag=True, help="List the rules and run nothing.")
@json_option
@debug_option
@model_options
@click.pass_context
def conformance(
    context: click.Context,
    /,
    model: str | None,
    rules: tuple[str, ...],
    skips: tuple[str, ...],
    chat_template: str | None,
    listing: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Test a backend against every rule of the protocol.

    The exit code is 0 if no rule fails, else 1. A model that cannot be loaded ends the test. With
    --debug failures have their tracebacks.
    """
    from headrace.testing.rules import chosen

    if listing:
        for each in chosen(rules):
            click.echo(f"{each.id:32} {each.sentence}")
        return
    backend = settings().backend
    if model is None or backend is None:
        raise click.UsageError("Say what is tested: --backend NAME --model REF.")
    from headrace.testing.kit import Subject
    from headrace.testing.running import check_backend

    if chat_template:
        fields["chat_options"] = {"template": chat_template}
    subject = Subject(backend=backend, model=model, **given(**fields))
    params, engine = with_options(subject.params, subject.engine)
    subject = attrs.evolve(subject, params=params, engine=engine)
    tell = None if as_json else _Teller(context.obj.debug)
    with time_limit(timeout(), "testing"):
        report = check_backend(subject, rules=rules, skip_rules=dict(map(_skip, skips)), tell=tell)
    if as_json:
        write_json(report.as_json())
    else:
        click.echo(report.summary)
    context.exit(0 if report.conforms else 1)


def _skip(option: str) -> tuple[str, str]:
    id, equals, reason = option.partition("=")
    if not equals:
        raise ParamsError(f"--skip must be ID=REASON, got {option!r}")
    return id, reason


class _Teller:
    """Prints the lines of the table as they come."""

    def __init__(self, tracebacks: bool) -> None:
        self._tracebacks = tracebacks

    def __call__(self, outcome: Outcome) -> None:
        from headrace.testing.report import outcome_lines

        for line in outcome_lines(outcome):
            click.secho(line, fg=_COLOURS.get(str(outcome.status)))
        if self._tracebacks and outcome.traceback:
            click.echo(outcome.traceback, nl=False)
