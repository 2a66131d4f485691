"""What several commands share: options, loading with a progress bar, reading a text."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import attrs
import click
from click.shell_completion import CompletionItem

import headrace
from headrace.cli.limits import time_limit
from headrace.cli.streams import draws, read_input, reads_terminal

_F = TypeVar("_F", bound=Callable[..., Any])
BOM = "\ufeff"
_WHOLE = 10**6
"""More characters than a sentence has."""


@attrs.define
class Settings:
    """What was asked of the program as a whole."""

    debug: bool = False
    timeout: float | None = None
    """Longest time for loading a model, and again for what follows; in seconds."""
    command: click.Command | None = None
    """The command that was asked for, in whose words errors are told."""
    model: dict[str, Any] = attrs.field(factory=dict)
    """Fields of ``ModelParams`` that were given as options."""
    engine: dict[str, Any] = attrs.field(factory=dict)
    """Fields of ``EngineParams`` that were given as options."""
    sampling: dict[str, Any] = attrs.field(factory=dict)
    """Fields of ``SamplingParams`` that were given as options."""
    adapters: dict[str, tuple[tuple[str, float], ...]] = attrs.field(factory=dict)
    """LoRA adapters and control vectors that were given, with their scales."""
    recommended_sampling: bool = False
    """Whether they change what the model file recommends, instead of the defaults."""


class Group(click.Group):
    """Lists its commands with the whole first sentence of each; notes the one that is run."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command."""
        found = super().resolve_command(ctx, args)
        ctx.ensure_object(Settings).command = found[1]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(_WHOLE)) for name, each in commands if each]
            )


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
backend_option = click.option(
    "--backend",
    metavar="NAME",
    help="Backend to load the model with  [default: the one that can].",
)
threads_option = click.option(
    "--threads",
    cls=Option,
    names=("n_threads",),
    type=int,
    metavar="N",
    help="Threads  [default: the physical cores].",
)


def _keep_timeout(context: click.Context, parameter: click.Parameter, value: float | None) -> None:
    if value is not None and not value >= 0:
        raise headrace.ParamsError(f"--timeout must be a number of seconds ≥ 0, got {value}")
    context.ensure_object(Settings).timeout = value


timeout_option = click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    callback=_keep_timeout,
    expose_value=False,
    help="Longest time for loading a model, and again for what follows.",
)


def timeout() -> float | None:
    """What was given as ``--timeout``."""
    return click.get_current_context().ensure_object(Settings).timeout


def model_options(command: _F) -> _F:
    """Options of every command that loads a model to run it."""
    for option in (
        timeout_option,
        threads_option,
        click.option(
            "--n-ctx",
            type=int,
            metavar="N",
            help="Context length  [default: the model's, at most 4096].",
        ),
        backend_option,
    ):
        command = option(command)
    # Imported here because the settings are kept in what this module defines.
    from headrace.cli.settings import settings_options

    return settings_options(command)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given, so that the others keep the library's defaults."""
    return {name: value for name, value in options.items() if value is not None}


def load(
    reference: str,
    *,
    backend: str | None,
    params: headrace.ModelParams | None = None,
    engine: headrace.EngineParams | None = None,
) -> headrace.Model:
    """Load a model behind a progress bar, with the settings that were given as options."""
    params, engine = with_options(params, engine)
    headrace.backends()  # to find them is none of the model's time
    with time_limit(timeout(), "loading"), progress_bar("Loading") as progress:
        return headrace.load_model(
            reference, backend=backend, params=params, engine=engine, progress=progress
        )


def with_options(
    params: headrace.ModelParams | None, engine: headrace.EngineParams | None
) -> tuple[headrace.ModelParams, headrace.EngineParams]:
    """Params with what was given of ``headrace.cli.settings``."""
    settings = click.get_current_context().ensure_object(Settings)
    return (
        attrs.evolve(params or headrace.ModelParams(), **settings.model),
        attrs.evolve(engine or headrace.EngineParams(), **settings.engine),
    )


@contextlib.contextmanager
def progress_bar(label: str, *, lines: bool = False) -> Iterator[Callable[[float], None]]:
    """A bar on the terminal that goes away when it is done.

    If stderr is no terminal, a line at every tenth with ``lines``, otherwise nothing.
    """
    if not draws():
        yield _tenths(label) if lines else lambda fraction: None
        return
    # rich takes longer to import than all the rest together.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

    columns = (label, BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def _tenths(label: str) -> Callable[[float], None]:
    told = 0

    def tell(fraction: float) -> None:
        nonlocal told
        if int(fraction * 10) > told:
            told = int(fraction * 10)
            click.echo(f"{label}: {told * 10} %", err=True)

    return tell


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
