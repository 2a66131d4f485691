"""``headrace run``: a prompt in, text out as it comes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import attrs
import click

import headrace
from headrace.cli.adapters import adapter_options, session_params
from headrace.cli.grammar import grammar_options
from headrace.cli.load import load, with_options
from headrace.cli.model_options import model_options
from headrace.cli.options import FILE, debug_option, gathered, json_option
from headrace.cli.report import summary, times
from headrace.cli.sampling import (
    check_sampling_options,
    sampling_of,
    sampling_options,
    show_logprobs,
)
from headrace.cli.settings import timeout
from headrace.cli.speculation import speculating, speculation_options
from headrace.cli.states import check_states
from headrace.cli.texts import not_empty, read_text, write_json

INTERRUPTED = 130


@attrs.frozen(kw_only=True)
class RunOptions:
    """What ``headrace run`` alone was given; see its help."""

    model: str
    prompt: str | None
    max_tokens: int | None
    stop: tuple[str, ...]
    ignore_eog: bool
    load_state: str | None
    save_state: str | None
    suffix: str | None
    quiet: bool
    verbose: bool
    as_json: bool

    def text(self) -> str | None:
        """The prompt; None: to go on where the state stopped."""
        text = read_text(self.prompt, "PROMPT")
        if self.suffix is not None:
            return text
        if not text and self.load_state is not None:
            return None
        return not_empty(text, "PROMPT")


@click.command()
@click.argument("model", type=FILE)
@click.argument("prompt", required=False)
@click.option(
    "-n",
    "--max-tokens",
    type=int,
    metavar="N",
    help="Most new tokens  [default: until the model ends].",
)
@click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; repeatable.")
@click.option("--ignore-eog", is_flag=True, help="Never let the model end by itself.")
@click.option("--load-state", type=FILE, metavar="FILE", help="Go on from a session in FILE.")
@click.option(
    "--save-state", type=FILE, metavar="FILE", help="Keep the session in FILE at the end."
)
@click.option("--suffix", metavar="TEXT", help="Fill in what stands between PROMPT and this text.")
@click.option("-q", "--quiet", is_flag=True, help="No summary on stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Tell where the time went, too.")
@sampling_options
@grammar_options
@adapter_options
@speculation_options
@model_options
@json_option
@debug_option
@gathered(RunOptions)
def run(asked: RunOptions) -> None:
    """Continue PROMPT with MODEL, on stdout.

    MODEL is a model file. Without PROMPT, or with -, the prompt is read from stdin; an empty one
    goes on where the state of --load-state stopped. Ctrl-C ends the generation; what there is by
    then is kept.
    """
    check_sampling_options()
    check_states(asked.load_state, asked.save_state)
    with_options()  # what is wrong with them is told before anything is read
    text = asked.text()
    with (
        speculating() as params,
        load(asked.model) as loaded,
        loaded.open_session(session_params(loaded, params)) as session,
    ):
        if asked.load_state is not None:
            session.load_state(asked.load_state)
        with _begun(session, text, asked, sampling_of(loaded)) as stream:
            done, interrupted = read(stream, show=not asked.as_json)
        if asked.save_state is not None:
            session.save_state(asked.save_state)
        if not asked.as_json:
            show_logprobs(done, loaded)
    if asked.as_json:
        write_json(attrs.asdict(done))
    if not asked.quiet:
        click.echo(summary(done), err=True)
    if asked.verbose:
        click.echo(times(done, loaded.info.load_seconds), err=True)
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)


def _begun(
    session: headrace.Session,
    text: str | None,
    asked: RunOptions,
    sampling: headrace.SamplingParams,
) -> headrace.TokenStream:
    begin: Callable[..., headrace.TokenStream] = partial(session.generate, text)
    if asked.suffix is not None:
        begin = partial(session.infill, text or "", suffix=asked.suffix)
    return begin(
        sampling=sampling,
        max_tokens=asked.max_tokens,
        stop=asked.stop,
        ignore_eog=asked.ignore_eog,
        timeout=timeout(),
    )


def read(stream: headrace.TokenStream, *, show: bool) -> tuple[headrace.Completion, bool]:
    """Read a stream to its end or to Ctrl-C; the second value says which it was."""
    interrupted = False
    ends_line = True
    try:
        for chunk in stream:
            if show and chunk.text:
                ends_line = chunk.text.endswith("\n")
                sys.stdout.write(chunk.text)
                sys.stdout.flush()
    except KeyboardInterrupt:
        interrupted = True
        stream.close()
    if show and not ends_line:
        click.echo()
    return stream.result, interrupted
