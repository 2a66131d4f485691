"""The ``headrace`` command: gathers its subcommands and turns every end into an exit code.

0: done. 1: a failure. 2: a usage error, as click has it. 130: Ctrl-C. 141: whoever read the
output closed it, as ``head`` does; like other tools headrace then ends without a word.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

import headrace
from headrace.cli import (
    backends,
    chat,
    check,
    conformance,
    demo,
    devices,
    doctor,
    embed,
    fetch,
    gguf,
    info,
    new_backend,
    rpc_server,
    run,
    score,
    tokenize,
)
from headrace.cli.common import Settings, debug_option
from headrace.cli.report import one_line
from headrace.errors import HeadraceError, ParamsError, UsageError

FAILURE, USAGE, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141


class _PipeClosed(Exception):
    """A ``BrokenPipeError`` on its way past click, which would end the program by itself."""


class _App(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise _PipeClosed from error
        return result


@click.group(
    cls=_App,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(headrace.__version__, prog_name="headrace")
@debug_option
def app() -> None:
    """Run language models on this machine.

    Exit codes: 0 done, 1 failure, 2 usage error, 130 interrupted by Ctrl-C.
    """


for command in (
    run.run,
    chat.chat,
    backends.backends,
    conformance.conformance,
    devices.devices,
    doctor.doctor,
    info.info,
    tokenize.tokenize,
    score.score,
    demo.demo,
    fetch.fetch,
    gguf.gguf,
    gguf.quantize,
    check.check,
    rpc_server.rpc_server,
    embed.embed,
    embed.rerank,
    new_backend.new_backend,
):
    app.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; ``arguments`` default to the process's own."""
    # A character that the terminal's encoding lacks must not end a generation.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    settings = Settings()
    try:
        status = app.main(
            args=None if arguments is None else list(arguments),
            prog_name="headrace",
            standalone_mode=False,
            obj=settings,
        )
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except _PipeClosed:
        _discard_output()
        return PIPE_CLOSED
    except (click.Abort, KeyboardInterrupt) as error:
        _report(error, settings)
        return INTERRUPTED
    except HeadraceError as error:
        _report(error, settings)
        return USAGE if isinstance(error, (ParamsError, UsageError)) else FAILURE
    except Exception as error:
        _report(error, settings)
        return FAILURE
    return status if isinstance(status, int) else 0


def _discard_output() -> None:
    """Keep the interpreter from flushing into the closed pipe when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: BaseException, settings: Settings) -> None:
    """One readable line, a hint and where to read on, or with ``--debug`` everything there is."""
    if settings.debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        for line in getattr(error, "native_log", ()):
            click.echo(f"native: {line}", err=True)
        return
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        click.echo("headrace: interrupted", err=True)
        return
    if isinstance(error, HeadraceError):
        told, hint = error.message, error.hint
    else:
        told = f"{type(error).__name__}: {error}"
        hint = "This is a defect. Run the command again with --debug to see where it comes from."
    click.secho(f"headrace: error: {one_line(told)}", fg="red", err=True)
    if hint:
        click.echo(f"hint: {one_line(hint)}", err=True)
    if isinstance(error, HeadraceError):
        click.echo(f"more: {error.docs}", err=True)
