"""What options are made of, and those that many commands have."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from headrace.cli.settings import Settings
from headrace.errors import ParamsError

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])


def expanded(path: str) -> str:
    """A path with its ``~``, which shells leave alone in quotes and after ``--option=``."""
    return path if os.path.lexists(path) else os.path.expanduser(path)


class _File(click.ParamType):  # type: ignore[type-arg]  # generic in later versions
    """A path or another reference; shells complete it as a file."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Expand it."""
        return expanded(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Leave it to the shell."""
        return [CompletionItem(incomplete, type="file")]


FILE = _File()


class Option(click.Option):
    """An option that sets what has another name in the library, for ``headrace.cli.language``."""

    def __init__(self, *arguments: Any, names: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.names = names


def kept(
    owner: str, field: str, *names: str, convert: Callable[[Any], Any] | None = None, **more: Any
) -> Callable[[_F], _F]:
    """An option whose value is kept in the program's settings.

    Args:
        owner: Which of the settings' dictionaries it goes into.
        field: Its name there, and that of what it sets.
        *names: Those of the option.
        convert: What is made of what was typed.
        **more: For ``click.option``.
    """

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None and value != ():
            into = getattr(context.ensure_object(Settings), owner)
            into[field] = value if convert is None else convert(value)

    more.setdefault("names", (field,))
    return click.option(*names, cls=Option, callback=keep, expose_value=False, **more)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given, so that the others keep the library's defaults."""
    return {name: value for name, value in options.items() if value is not None}


def gathered(kind: Callable[..., _T]) -> Callable[[Callable[[_T], None]], Callable[..., None]]:
    """Hand a command what it was given as one value, whose fields are called as its parameters."""

    def wrap(command: Callable[[_T], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**options: Any) -> None:
            command(kind(**options))

        return call

    return wrap


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Settings).debug = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_debug,
    help="Show the traceback of an error.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


def _keep_backend(context: click.Context, parameter: click.Parameter, name: str | None) -> None:
    context.ensure_object(Settings).backend = name


backend_option = click.option(
    "--backend",
    metavar="NAME",
    callback=_keep_backend,
    expose_value=False,
    help="Backend to load the model with  [default: the one that can].",
)


def _keep_timeout(context: click.Context, parameter: click.Parameter, value: float | None) -> None:
    if value is not None and not value >= 0:
        raise ParamsError(f"--timeout must be a number of seconds ≥ 0, got {value}")
    context.ensure_object(Settings).timeout = value


timeout_option = click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    callback=_keep_timeout,
    expose_value=False,
    help="Longest time for loading a model, and again for what follows.",
)
