"""Options that constrain the output of the commands that generate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from headrace.cli.options import expanded
from headrace.cli.settings import Settings
from headrace.errors import ParamsError

if TYPE_CHECKING:
    from headrace.grammar import JsonSchema

_F = TypeVar("_F", bound=Callable[..., Any])


def _schema(text: str) -> JsonSchema:
    """A schema as JSON, or the name of a file of it."""
    from headrace.grammar import JsonSchema

    is_json = text.lstrip().startswith("{") or text.strip() in {"true", "false"}
    return JsonSchema(text if is_json else _read(text))


def _read(name: str) -> str:
    try:
        return Path(expanded(name)).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ParamsError(f"the file {name!r} cannot be read: {reason}") from None


def _gbnf(name: str) -> object:
    from headrace.grammar import Gbnf

    return Gbnf(_read(name))


def _lark(name: str) -> object:
    from headrace.grammar import Lark

    return Lark(_read(name))


def _regex(pattern: str) -> object:
    from headrace.grammar import Regex

    return Regex(pattern)


def _choice(texts: tuple[str, ...]) -> object:
    from headrace.grammar import Choice

    return Choice(texts)


_KINDS: dict[str, Callable[[Any], Any]] = {
    "--grammar": _gbnf,
    "--lark": _lark,
    "--json-schema": _schema,
    "--regex": _regex,
    "--choice": _choice,
}


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is None or value == ():
        return
    sampling = context.ensure_object(Settings).sampling
    if "grammar" in sampling:
        raise ParamsError(f"only one of {', '.join(_KINDS)} can be given")
    sampling["grammar"] = _KINDS[parameter.opts[0]](value)


def grammar_options(command: _F) -> _F:
    """``--grammar``, ``--lark``, ``--json-schema``, ``--regex``, ``--choice``: one can be given."""
    options = (
        ("--grammar", "FILE", "Write what a GBNF grammar allows."),
        ("--lark", "FILE", "Write what a grammar in llguidance's notation allows."),
        ("--json-schema", "FILE|JSON", "Write JSON that is valid under a schema."),
        ("--regex", "PATTERN", "Write what matches a regular expression."),
        ("--choice", "TEXT", "Write one of these; repeatable."),
    )
    for name, metavar, text in reversed(options):
        command = click.option(
            name,
            metavar=metavar,
            help=text,
            multiple=name == "--choice",
            callback=_keep,
            expose_value=False,
        )(command)
    return command
