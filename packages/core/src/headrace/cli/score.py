"""``headrace score``: how likely a model finds a text."""

from __future__ import annotations

import click

import headrace
from headrace.cli.adapters import adapter_options, session_params
from headrace.cli.limits import time_limit
from headrace.cli.load import load
from headrace.cli.model_options import model_options
from headrace.cli.options import FILE, debug_option, json_option
from headrace.cli.progress import progress_bar
from headrace.cli.settings import timeout
from headrace.cli.texts import read_text, write_json


@click.command()
@click.argument("model", type=FILE)
@click.argument("text", required=False)
@click.option("--context", "history", metavar="TEXT", help="What stands before TEXT.")
@click.option("--top", type=int, default=0, metavar="N", help="Show the N likeliest tokens too.")
@click.option("-q", "--quiet", is_flag=True, help="Total and perplexity alone.")
@adapter_options
@model_options
@json_option
@debug_option
def score(
    model: str,
    text: str | None,
    history: str | None,
    top: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show how likely MODEL finds each token of TEXT.

    Numbers are natural logarithms of probabilities. Without TEXT, or with -, the text is read from
    stdin.
    """
    wanted = read_text(text, "TEXT")
    with (
        load(model) as loaded,
        time_limit(timeout(), "scoring"),
        loaded.open_session(session_params(loaded)) as session,
    ):
        if history is not None:
            session.complete(history, max_tokens=0)
        with progress_bar("Scoring") as progress:
            found = session.score(wanted, top=top, progress=progress)
        if as_json:
            write_json(_as_json(found))
            return
        if not quiet:
            for index in range(len(found.tokens)):
                click.echo(_line(found, index, loaded))
    click.echo(f"tokens     {found.scored}")
    click.echo(f"total      {found.total:.4f}")
    perplexity = "-" if found.perplexity is None else f"{found.perplexity:.4f}"
    click.echo(f"perplexity {perplexity}")


def _line(found: headrace.Score, index: int, model: headrace.Model) -> str:
    logprob = found.logprobs[index]
    shown = "       -" if logprob is None else f"{logprob:8.4f}"
    line = f"{found.tokens[index]:>8}  {shown}  {_shown(found.pieces[index])}"
    if found.top:
        likeliest = [
            f"{_shown(model.detokenize([token], special=True))} {each:.4f}"
            for token, each in found.top[index]
        ]
        line += f"   ({', '.join(likeliest)})" if likeliest else ""
    return line


def _shown(data: bytes) -> str:
    """A piece as a literal: bytes where it is not text by itself."""
    try:
        return repr(data.decode())
    except UnicodeDecodeError:
        return repr(data)


def _as_json(found: headrace.Score) -> dict[str, object]:
    return {
        "tokens": [
            {
                "id": token,
                "text": piece.decode(errors="replace"),
                "bytes": piece.hex(),
                "logprob": logprob,
                **({"top": found.top[index]} if found.top else {}),
            }
            for index, (token, piece, logprob) in enumerate(
                zip(found.tokens, found.pieces, found.logprobs, strict=True)
            )
        ],
        "scored": found.scored,
        "total": found.total,
        "perplexity": found.perplexity,
    }
