"""``headrace chat``: a conversation on the terminal, or one answer in a pipe."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

import headrace
from headrace.cli.adapters import adapter_options, session_params
from headrace.cli.conversation import Talk
from headrace.cli.load import load, with_options
from headrace.cli.model_options import model_options
from headrace.cli.options import FILE, debug_option, gathered, json_option
from headrace.cli.report import summary
from headrace.cli.sampling import check_sampling_options, sampling_of, sampling_options
from headrace.cli.settings import timeout
from headrace.cli.speculation import speculating, speculation_options
from headrace.cli.streams import reads_terminal
from headrace.cli.texts import not_empty, read_text, write_json

INTERRUPTED = 130


@attrs.frozen(kw_only=True)
class ChatOptions:
    """What ``headrace chat`` alone was given; see its help."""

    model: str
    message: str | None
    system: str | None
    template: str | None
    reasoning: bool
    max_tokens: int | None
    stop: tuple[str, ...]
    quiet: bool
    as_json: bool


@click.command()
@click.argument("model", type=FILE)
@click.argument("message", required=False)
@click.option("--system", metavar="TEXT", help="What the model is told first.")
@click.option(
    "--template",
    type=FILE,
    metavar="FILE",
    help="A file with a Jinja chat template  [default: the model's own].",
)
@click.option(
    "--reasoning/--no-reasoning",
    default=True,
    help="Whether the model may think before it answers.",
)
@click.option(
    "-n",
    "--max-tokens",
    type=int,
    metavar="N",
    help="Most new tokens of an answer  [default: until the model ends].",
)
@click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; repeatable.")
@click.option("-q", "--quiet", is_flag=True, help="No summary on stderr.")
@sampling_options
@adapter_options
@speculation_options
@model_options
@json_option
@debug_option
@gathered(ChatOptions)
def chat(asked: ChatOptions) -> None:
    """Talk with MODEL.

    On a terminal, each line is a message; /help tells what else there is, Ctrl-C stops an
    answer, Ctrl-D ends. With MESSAGE, or one from a pipe, there is one answer, on stdout.
    """
    check_sampling_options()
    with_options()  # what is wrong with them is told before anything is read
    source = None if asked.template is None else read_template(Path(asked.template))
    once = asked.message is not None or asked.as_json or not reads_terminal()
    text = not_empty(read_text(asked.message, "MESSAGE"), "MESSAGE") if once else ""
    with (
        speculating() as params,
        load(asked.model) as loaded,
        loaded.open_session(session_params(loaded, params)) as session,
    ):
        talk = Talk(
            session,
            system=asked.system,
            template=source,
            reasoning=asked.reasoning,
            sampling=sampling_of(loaded),
            max_tokens=asked.max_tokens,
            stop=asked.stop,
            timeout=timeout(),
        )
        # What is wrong with the template is told now, and not after the first message.
        loaded.render_chat(talk.opening(), template=source, reasoning=asked.reasoning)
        if not once:
            talk.converse(loaded.info.name)
            return
        done, interrupted = talk.answer(text, show=not asked.as_json)
    if asked.as_json:
        write_json(attrs.asdict(done))
    if not asked.quiet:
        click.echo(summary(done), err=True)
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)


def read_template(path: Path) -> str:
    """The source of a template.

    Raises:
        ParamsError: If the file cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise headrace.ParamsError(f"the template {str(path)!r} cannot be read: {reason}") from None
