"""``headrace run``: a prompt in, text out as it comes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import attrs
import click

import headrace
from headrace.cli.adapters import adapter_options, session_params
from headrace.cli.common import (
    FILE,
    debug_option,
    given,
    json_option,
    load,
    model_options,
    not_empty,
    read_text,
    timeout,
    write_json,
)
from headrace.cli.grammar import grammar_options
from headrace.cli.report import summary, times
from headrace.cli.sampling import (
    check_sampling_options,
    sampling_of,
    sampling_options,
    show_logprobs,
)
from headrace.cli.speculation import speculating, speculation_options
from headrace.cli.states import check_states

INTERRUPTED = 130


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
@click.pass_context
def run(
    context: click.Context,
    model: str,
    prompt: str | None,
    max_tokens: int | None,
    stop: tuple[str, ...],
    ignore_eog: bool,
    load_state: str | None,
    save_state: str | None,
    prompt_lookup: int | None,
    suffix: str | None,
    draft_model: str | None,
    quiet: bool,
    verbose: bool,
    n_ctx: int | None,
    threads: int | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Continue PROMPT with MODEL, on stdout.

    MODEL is a model file. Without PROMPT, or with -, the prompt is read from stdin; an empty one
    goes on where the state of --load-state stopped. Ctrl-C ends the generation; what there is by
    then is kept.
    """
    check_sampling_options()
    check_states(load_state, save_state)
    engine = headrace.EngineParams(**given(n_ctx=n_ctx, n_threads=threads))
    text: str | None = read_text(prompt, "PROMPT")
    if not text and load_state is not None and suffix is None:
        text = None  # go on where the state stopped
    elif text is not None and suffix is None:
        not_empty(text, "PROMPT")
    with (
        speculating(prompt_lookup, draft_model, backend=backend, engine=engine) as params,
        load(model, backend=backend, engine=engine) as loaded,
        loaded.open_session(session_params(loaded, params)) as session,
    ):
        if load_state is not None:
            session.load_state(load_state)
        begin: Callable[..., headrace.TokenStream] = partial(session.generate, text)
        if suffix is not None:
            begin = partial(session.infill, text or "", suffix=suffix)
        with begin(
            sampling=sampling_of(loaded),
            max_tokens=max_tokens,
            stop=stop,
            ignore_eog=ignore_eog,
            timeout=timeout(),
        ) as stream:
            done, interrupted = read(stream, show=not as_json)
        if save_state is not None:
            session.save_state(save_state)
        if not as_json:
            show_logprobs(done, loaded)
    if as_json:
        write_json(attrs.asdict(done))
    if not quiet:
        click.echo(summary(done), err=True)
    if verbose:
        click.echo(times(done, loaded.info.load_seconds), err=True)
    if interrupted:
        context.exit(INTERRUPTED)


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
