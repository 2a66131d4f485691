"""Text that a command is given, and the JSON that it writes."""

from __future__ import annotations

import codecs
import json
import os
from typing import Any

import click

import headrace
from headrace.cli.streams import read_input, reads_terminal

BOM = "\ufeff"


def read_text(argument: str | None, name: str) -> str:
    """The argument itself, or stdin for ``-`` or when something is piped in.

    One line break at the end is left out of what is read: ``echo`` adds it; so is a mark of the
    byte order (BOM) at its beginning, which some editors and shells write.
    """
    if argument is not None and argument != "-":
        return _checked(argument, name)
    if argument is None and reads_terminal():
        raise click.UsageError(f"Missing argument '{name}'; or pipe it in.")
    data = read_input(name)
    try:
        text = data.decode().removeprefix(BOM)
    except UnicodeDecodeError as error:
        raise headrace.ParamsError(
            f"{name} from stdin is not UTF-8: byte {data[error.start]:#04x} "
            f"at position {error.start}",
            hint="It looks like UTF-16: iconv -f UTF-16 -t UTF-8 converts it."
            if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            else None,
        ) from error
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def _checked(argument: str, name: str) -> str:
    """An argument, if it is text: other bytes come as lone surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise headrace.ParamsError(
            f"{name} is not UTF-8: {os.fsencode(argument[error.start])!r} at index {error.start}"
        ) from None
    return argument


def not_empty(text: str, name: str) -> str:
    """The text of an argument, before a model is loaded for nothing.

    Raises:
        ParamsError: If there is none.
    """
    if not text:
        raise headrace.ParamsError(f"{name} must not be empty")
    return text


def write_json(value: Any) -> None:
    """One JSON value on one line, in ASCII, which every encoding of stdout can carry."""
    click.echo(json.dumps(value, default=str))
