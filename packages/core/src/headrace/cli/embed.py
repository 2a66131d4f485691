"""``headrace embed`` and ``headrace rerank``: vectors for texts, scores for documents."""

from __future__ import annotations

import attrs
import click

import headrace
from headrace.cli.limits import time_limit
from headrace.cli.load import load, with_options
from headrace.cli.model_options import model_options
from headrace.cli.options import FILE, Option, debug_option, json_option
from headrace.cli.progress import progress_bar
from headrace.cli.settings import timeout
from headrace.cli.texts import read_text, write_json

_truncate_option = click.option(
    "--truncate", is_flag=True, help="Cut what is too long instead of failing."
)


@click.command()
@click.argument("model", type=FILE)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--pooling",
    type=click.Choice(["mean", "cls", "last", "none"]),
    help="How tokens' vectors become one; none: one a token  [default: the model's own].",
)
@click.option(
    "--no-normalize",
    cls=Option,
    names=("normalize",),
    is_flag=True,
    help="Leave the vectors' lengths as they are.",
)
@_truncate_option
@model_options
@json_option
@debug_option
def embed(
    model: str,
    texts: tuple[str, ...],
    pooling: str | None,
    no_normalize: bool,
    truncate: bool,
    as_json: bool,
) -> None:
    """Write the vector of each TEXT, one a line.

    Without TEXT, or with -, every line of stdin is a text.
    """
    wanted = _texts(texts)
    with (
        load(model, engine=_engine()) as loaded,
        time_limit(timeout(), "embedding"),
        progress_bar("Embedding") as progress,
    ):
        made = loaded.embed(
            wanted,
            pooling=pooling,
            normalize=not no_normalize,
            truncate=truncate,
            progress=progress,
        )
    if as_json:
        write_json(
            {
                "vectors": made.vectors,
                "pooling": made.pooling,
                "n_dimensions": made.n_dimensions,
                "usage": attrs.asdict(made.usage),
            }
        )
        return
    for vector in made:
        for line in vector if made.pooling == "none" else [vector]:
            click.echo(" ".join(f"{number:.7g}" for number in line))
        if made.pooling == "none":
            click.echo()  # between the tokens of one text and those of the next


@click.command()
@click.argument("model", type=FILE)
@click.argument("query")
@click.argument("documents", nargs=-1, metavar="[DOCUMENT]...")
@_truncate_option
@model_options
@json_option
@debug_option
def rerank(
    model: str,
    query: str,
    documents: tuple[str, ...],
    truncate: bool,
    as_json: bool,
) -> None:
    """Order each DOCUMENT by how well it answers QUERY, the best first.

    MODEL must be a reranker. Without DOCUMENT, or with -, every line of stdin is one.
    """
    wanted = _texts(documents, "DOCUMENT")
    with (
        load(model, engine=_engine()) as loaded,
        time_limit(timeout(), "ranking"),
        progress_bar("Ranking") as progress,
    ):
        ranking = loaded.rerank(query, wanted, sort=True, truncate=truncate, progress=progress)
    if as_json:
        write_json(attrs.asdict(ranking))
        return
    for each in ranking:
        click.echo(f"{each.score:10.4f}  {wanted[each.index]}")


def _texts(arguments: tuple[str, ...], name: str = "TEXT") -> list[str]:
    """The arguments, or the lines of stdin, without those that are empty."""
    if arguments and arguments != ("-",):
        return list(arguments)
    text = read_text(arguments[0] if arguments else None, name)
    found = [line.removesuffix("\r") for line in text.split("\n") if line.strip()]
    if not found:
        raise headrace.ParamsError(f"stdin has no {name}", hint="Write one a line.")
    return found


def _engine() -> headrace.EngineParams:
    """A text is computed in one micro-batch, so that is what bounds its length."""
    usual = headrace.EngineParams()
    _, asked = with_options(engine=usual)
    length = asked.n_ctx or 0
    return headrace.EngineParams(
        n_batch=max(usual.n_batch, length), n_ubatch=max(usual.n_ubatch, length)
    )
