"""The ``headrace`` command: gathers its subcommands and turns every end into an exit code.

0: done. 1: a failure. 2: a usage error, as click has it. 130: Ctrl-C. 141: whoever read the
output closed it, as ``head`` does; like other tools headrace then ends without a word.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn

import click

import headrace
from headrace.backend.plugins import discovery
from headrace.cli import (
    backends,
    bench,
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
from headrace.cli.group import Group
from headrace.cli.limits import TimedOutError
from headrace.cli.options import debug_option
from headrace.cli.report import in_words, tell
from headrace.cli.settings import Settings
from headrace.cli.streams import (
    PipeClosedError,
    StreamLostError,
    check_output,
    colour,
    discard_output,
    escaped_text,
    standard_streams,
)
from headrace.errors import HeadraceError, ParamsError, UsageError

FAILURE, USAGE, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141


@click.group(
    cls=Group,
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
    bench.bench,
    rpc_server.rpc_server,
    embed.embed,
    embed.rerank,
    new_backend.new_backend,
):
    app.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; ``arguments`` default to the process's own."""
    with standard_streams(), _plugins_beside_the_output():
        status = _run(arguments)
        _flush()
        escaped = escaped_text()
        if escaped is not None:
            tell("warning", *escaped)
    sys.exit(status)


@contextlib.contextmanager
def _plugins_beside_the_output() -> Iterator[None]:
    """What plugins print while they are imported goes to stderr: stdout is the command's."""
    before = discovery.around_plugins
    discovery.around_plugins = lambda: contextlib.redirect_stdout(sys.stderr)
    try:
        yield
    finally:
        discovery.around_plugins = before


def _run(arguments: Sequence[str] | None) -> int:
    settings = Settings()
    try:
        check_output()
        status = app.main(
            args=None if arguments is None else list(arguments),
            prog_name="headrace",
            standalone_mode=False,
            obj=settings,
            color=colour(),
        )
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except PipeClosedError:
        discard_output()
        return PIPE_CLOSED
    except StreamLostError as error:
        discard_output()
        _report(error, settings)
        return error.exit_code
    except TimedOutError as error:
        _report(error, settings)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
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


def _flush() -> None:
    """Write what an error has left in the buffer; what is lost now changes nothing any more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (PipeClosedError, StreamLostError, OSError):
        discard_output()


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
    tell("error", *in_words(error, settings.command))
    if isinstance(error, HeadraceError):
        click.echo(f"more: {error.docs}", err=True)
