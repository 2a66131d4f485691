"""``headrace check``: what is wrong with a model file, as a process found that may die of it."""

from __future__ import annotations

import attrs
import click

import headrace
from headrace.cli.options import FILE, backend_option, debug_option, given, json_option
from headrace.cli.report import one_line
from headrace.cli.settings import settings
from headrace.cli.streams import draws
from headrace.cli.texts import write_json
from headrace.results.check import CheckLimits, CheckOutcome, CheckStage, CheckVerdict, ModelCheck

_VERDICTS = {
    CheckVerdict.FIT: "It is fit to use.",
    CheckVerdict.UNUSABLE: "Nothing wrong was seen, but this backend cannot use it within these "
    "limits.",
    CheckVerdict.DAMAGED: "It is damaged: loading or using it fails.",
    CheckVerdict.DANGEROUS: "It is dangerous: it crashed or hung the process that looked at it.",
}
_COLOURS = {
    CheckOutcome.PASSED: "green",
    CheckOutcome.SKIPPED: None,
    CheckOutcome.FAILED: "red",
    CheckOutcome.CRASHED: "red",
    CheckOutcome.HUNG: "red",
}
_LOG_LINES = 8


@click.command()
@click.argument("model", type=FILE)
@click.option("--stage-seconds", type=float, metavar="S", help="Longest time of a stage [60].")
@click.option(
    "--template-seconds", type=float, metavar="S", help="Longest time for the chat template [5]."
)
@click.option("--memory-bytes", type=int, metavar="N", help="Most memory beside the file [4 GiB].")
@backend_option
@json_option
@debug_option
def check(
    model: str,
    stage_seconds: float | None,
    template_seconds: float | None,
    memory_bytes: int | None,
    as_json: bool,
) -> int:
    """Look at the file MODEL in a process with limits, before anything is done with it.

    Exit codes: 0 it is fit to use, 1 it is not.
    """
    limits = given(
        stage_seconds=stage_seconds, template_seconds=template_seconds, memory_bytes=memory_bytes
    )
    found = headrace.check_model(
        model, backend=settings().backend, limits=CheckLimits(**limits), progress=_tell
    )
    _tell(None)
    if as_json:
        write_json({**attrs.asdict(found), "fit": found.fit})
    else:
        _show(found)
    return 0 if found.fit else 1


def _tell(stage: str | None) -> None:
    """The stage that is being run, on a line that goes away."""
    if draws():
        click.echo("\r\x1b[K" + (f"looking at: {stage}" if stage else ""), err=True, nl=False)


def _show(found: ModelCheck) -> None:
    width = max(len(each.name) for each in found.stages)
    for each in found.stages:
        outcome = click.style(f"{each.outcome.value:<7}", fg=_COLOURS[each.outcome])
        click.echo(f"{each.name:<{width}}  {outcome}  {_timed(each)}  {_words(each)}".rstrip())
    problem = found.problem
    if problem is not None and problem.native_log:
        click.echo("last lines of its log:")
        for line in problem.native_log[-_LOG_LINES:]:
            click.echo(f"    {one_line(line)}")
    click.echo(_VERDICTS[found.verdict])


def _timed(stage: CheckStage) -> str:
    return (
        f"{stage.seconds * 1000:7.0f} ms" if stage.outcome is not CheckOutcome.SKIPPED else " " * 10
    )


def _words(stage: CheckStage) -> str:
    said = one_line(stage.message)
    return f"{stage.error}: {said}" if stage.error else said
