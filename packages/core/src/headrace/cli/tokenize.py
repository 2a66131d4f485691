"""``headrace tokenize``: text to token ids and pieces, and back."""

from __future__ import annotations

import click

from headrace.cli.limits import time_limit
from headrace.cli.load import load
from headrace.cli.model_options import isolation_option
from headrace.cli.options import FILE, backend_option, debug_option, json_option, timeout_option
from headrace.cli.settings import timeout
from headrace.cli.texts import read_text, write_json
from headrace.errors import ParamsError
from headrace.model import Model
from headrace.params import ModelParams


@click.command()
@click.argument("model", type=FILE)
@click.argument("text", required=False)
@click.option("--no-special", is_flag=True, help="Do not add special tokens such as BOS.")
@click.option("--parse-special", is_flag=True, help="Read special tokens in TEXT as tokens.")
@click.option("--ids", is_flag=True, help="Write the ids alone, on one line.")
@click.option("--detokenize", is_flag=True, help="TEXT is token ids; write what they stand for.")
@isolation_option
@timeout_option
@backend_option
@json_option
@debug_option
def tokenize(
    model: str,
    text: str | None,
    no_special: bool,
    parse_special: bool,
    ids: bool,
    detokenize: bool,
    as_json: bool,
) -> None:
    """Show the tokens of TEXT.

    The model's weights are not loaded. Without TEXT, or with -, the text is read from stdin.
    """
    text = read_text(text, "TEXT")
    wanted = _parse_ids(text) if detokenize else None
    with (
        load(model, params=ModelParams(vocab_only=True)) as loaded,
        time_limit(timeout(), "tokenizing"),
    ):
        if wanted is not None:
            _write_text(loaded.detokenize(wanted, special=True), as_json)
            return
        tokens = loaded.tokenize(text, add_special=not no_special, parse_special=parse_special)
        if as_json:
            write_json({"tokens": tokens, "pieces": [_describe(loaded, each) for each in tokens]})
        elif ids:
            click.echo(" ".join(map(str, tokens)))
        else:
            for token in tokens:
                click.echo(f"{token:>8}  {_shown(loaded.detokenize([token], special=True))}")


def _parse_ids(text: str) -> list[int]:
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise ParamsError(f"TEXT must be token ids with --detokenize, got {text!r}") from error


def _write_text(data: bytes, as_json: bool) -> None:
    if as_json:
        write_json({"text": data.decode(errors="replace"), "bytes": data.hex()})
    else:
        click.echo(data)


def _describe(model: Model, token: int) -> dict[str, object]:
    data = model.detokenize([token], special=True)
    # A piece may be a part of a character: its bytes are what is exact.
    return {"id": token, "text": data.decode(errors="replace"), "bytes": data.hex()}


def _shown(data: bytes) -> str:
    """A piece as a Python literal: bytes where it is not text by itself."""
    try:
        return repr(data.decode())
    except UnicodeDecodeError:
        return repr(data)
