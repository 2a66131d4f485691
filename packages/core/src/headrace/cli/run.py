"""``headrace run``: a prompt in, text out as it comes."""

from __future__ import annotations

import sys

import attrs
import click

import headrace
from headrace.cli.common import (
    debug_option,
    given,
    json_option,
    load,
    model_options,
    read_text,
    write_json,
)
from headrace.cli.report import summary

INTERRUPTED = 130


@click.command()
@click.argument("model")
@click.argument("prompt", required=False)
@click.option(
    "-n",
    "--max-tokens",
    type=int,
    metavar="N",
    help="Most new tokens  [default: until the model ends].",
)
@click.option("--temperature", type=float, metavar="T", help="0 takes the most likely token.")
@click.option("--top-k", type=int, metavar="K", help="Keep the K most likely tokens; 0: all.")
@click.option("--top-p", type=float, metavar="P", help="Keep the smallest set of probability P.")
@click.option(
    "--min-p", type=float, metavar="P", help="Drop tokens below this share of the likeliest."
)
@click.option(
    "--repeat-penalty", type=float, metavar="R", help="Make recent tokens less likely; 1: off."
)
@click.option("--seed", type=int, metavar="N", help="Seed of the draw  [default: drawn].")
@click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; repeatable.")
@click.option("--timeout", type=float, metavar="SECONDS", help="End after so many seconds.")
@click.option("--ignore-eog", is_flag=True, help="Never let the model end by itself.")
@click.option("-q", "--quiet", is_flag=True, help="No summary on stderr.")
@model_options
@json_option
@debug_option
@click.pass_context
def run(
    context: click.Context,
    model: str,
    prompt: str | None,
    max_tokens: int | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    repeat_penalty: float | None,
    seed: int | None,
    stop: tuple[str, ...],
    timeout: float | None,
    ignore_eog: bool,
    quiet: bool,
    n_ctx: int | None,
    threads: int | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Continue PROMPT with MODEL, on stdout.

    MODEL is a model file. Without PROMPT, or with -, the prompt is read from stdin. Ctrl-C ends
    the generation; what there is by then is kept.
    """
    sampling = headrace.SamplingParams(
        **given(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repeat_penalty=repeat_penalty,
            seed=seed,
        )
    )
    engine = headrace.EngineParams(**given(n_ctx=n_ctx, n_threads=threads))
    text = read_text(prompt, "PROMPT")
    with (
        load(model, backend=backend, engine=engine) as loaded,
        loaded.open_session() as session,
        session.generate(
            text,
            sampling=sampling,
            max_tokens=max_tokens,
            stop=stop,
            ignore_eog=ignore_eog,
            timeout=timeout,
        ) as stream,
    ):
        done, interrupted = read(stream, show=not as_json)
    if as_json:
        write_json(attrs.asdict(done))
    if not quiet:
        click.echo(summary(done), err=True)
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
