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
from headrace.cli.group import LateCommands, Root
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
from headrace.common import above
from headrace.errors import HeadraceError, ParamsError, UsageError

FAILURE, USAGE, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141


COMMANDS = {
    "run": ("run", "run", "Continue PROMPT with MODEL, on stdout."),
    "chat": ("chat", "chat", "Talk with MODEL."),
    "backends": (
        "backends",
        "backends",
        "List what the installed plugins bring, and the quarantined plugins.",
    ),
    "conformance": (
        "conformance",
        "conformance",
        "Test a backend against every rule of the protocol.",
    ),
    "devices": ("devices", "devices", "List the devices that the installed backends can use."),
    "doctor": (
        "doctor",
        "doctor",
        "Look at the whole installation, and say what is wrong and what to do.",
    ),
    "info": (
        "info",
        "info",
        "Show what MODEL says of itself, or with --estimate what memory it will need.",
    ),
    "tokenize": ("tokenize", "tokenize", "Show the tokens of TEXT."),
    "score": ("score", "score", "Show how likely MODEL finds each token of TEXT."),
    "demo": ("demo", "demo", "Watch Gemma 3 270M continue PROMPT."),
    "fetch": ("fetch", "fetch", "Fetch the model that REFERENCE names, and print its path."),
    "gguf": ("gguf", "gguf", "Look into GGUF files, split them, merge them."),
    "quantize": (
        "gguf",
        "quantize",
        "Write a copy of SOURCE with weights of TYPE, such as Q4_K_M, to TARGET.",
    ),
    "check": (
        "check",
        "check",
        "Look at the file MODEL in a process with limits, before anything is done with it.",
    ),
    "bench": ("bench", "bench", "Measure how fast MODEL runs on this machine."),
    "rpc-server": (
        "rpc_server",
        "rpc_server",
        "Serve this machine's memory and devices to ModelParams(rpc_servers=...) of others.",
    ),
    "embed": ("embed", "embed", "Write the vector of each TEXT, one a line."),
    "rerank": (
        "embed",
        "rerank",
        "Order each DOCUMENT by how well it answers QUERY, the best first.",
    ),
    "new-backend": (
        "new_backend",
        "new_backend",
        "Write the project of a backend named NAME: a toy that passes the conformance kit.",
    ),
}
"""For each command its module, its name there, and the first sentence of its help: each is imported
when it is run."""


@click.group(
    cls=Root,
    commands=LateCommands(COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(headrace.__version__, prog_name="headrace")
@debug_option
def app() -> None:
    """Run language models on this machine.

    Exit codes: 0 done, 1 failure, 2 usage error, 130 interrupted by Ctrl-C.
    """


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
    before = above.around_plugins
    above.around_plugins = lambda: contextlib.redirect_stdout(sys.stderr)
    try:
        yield
    finally:
        above.around_plugins = before


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
