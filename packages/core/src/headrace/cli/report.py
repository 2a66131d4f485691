"""How numbers and sizes are shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headrace.cli.limits import TimedOutError
from headrace.cli.streams import StreamLostError, colour
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.results import Completion
    from headrace.results.chat import ChatCompletion

_WIDEST_VALUE = 100
_COLOURS = {"error": "red", "warning": "yellow"}
_MORE = "Run the command again with --debug to see where it comes from."


def summary(done: Completion | ChatCompletion) -> str:
    """Stop reason and speed of a generation, in one line."""
    timings, usage = done.timings, done.usage
    parts = [
        f"[{done.stop_reason}]",
        f"prompt {_counted(usage.prompt_tokens)}{_rate(timings.prefill_rate)}",
        f"generated {_counted(usage.completion_tokens)}{_rate(timings.decode_rate)}",
        f"{timings.total_seconds:.2f} s",
    ]
    if timings.first_token_seconds is not None:
        parts.append(f"first token after {timings.first_token_seconds:.2f} s")
    if done.receipt.seed is not None:
        parts.append(f"seed {done.receipt.seed}")
    return " · ".join(parts)


def times(done: Completion, load_seconds: float | None) -> str:
    """Where the time went, in one line; sampling is a part of prefill and decode."""
    timings = done.timings
    parts = {
        "load": load_seconds,
        "prefill": timings.prefill_seconds,
        "decode": timings.decode_seconds,
        "sample": timings.sample_seconds,
    }
    if timings.drafted_tokens:
        parts["draft"] = timings.draft_seconds
    known = [f"{name} {value:.4f} s" for name, value in parts.items() if value is not None]
    if timings.drafted_tokens:
        known.append(f"accepted {timings.accepted_tokens} of {timings.drafted_tokens} drafted")
    return " · ".join(known)


def _counted(tokens: int) -> str:
    return f"{tokens} token{'' if tokens == 1 else 's'}"


def _rate(tokens_per_second: float | None) -> str:
    return "" if tokens_per_second is None else f" at {tokens_per_second:.1f} t/s"


def size(n_bytes: int) -> str:
    """A size in the unit that suits it."""
    value = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def shortened(value: Any) -> str:
    """One line of a value that may be a whole chat template."""
    text = str(value) if not isinstance(value, str) else value
    text = text.replace("\r", "").replace("\n", "\\n")
    return text if len(text) <= _WIDEST_VALUE else text[: _WIDEST_VALUE - 1] + "…"


def binary_size(n_bytes: int) -> str:
    """An amount of memory, in powers of 1024."""
    value = float(n_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def one_line(text: str) -> str:
    """The text without line breaks, which a message may quote from a file or a native library."""
    return " ".join(text.split())


def in_words(error: BaseException, command: click.Command | None) -> tuple[str, str | None]:
    """What is said of an error to who typed a command, and what to do about it."""
    if isinstance(error, HeadraceError):
        from headrace.cli.language import spoken  # it knows all parameters

        hint = error.hint and spoken(error.hint, command)
        return spoken(error.message, command), hint
    if isinstance(error, (StreamLostError, TimedOutError)):
        return error.message, error.hint
    # What the system refuses, and what it lacks, is no defect of the program.
    if isinstance(error, OSError):
        names = ", ".join(repr(each) for each in (error.filename, error.filename2) if each)
        return f"{names + ': ' if names else ''}{error.strerror or error}", _MORE
    if isinstance(error, MemoryError):
        return "there is not enough memory", _MORE
    if isinstance(error, ImportError):
        return f"a package cannot be imported: {error}", "Install headrace again."
    return f"{type(error).__name__}: {error}", f"This is a defect. {_MORE}"


def tell(kind: str, message: str, hint: str | None) -> None:
    """An error or a warning on stderr: one line, and one for what to do about it."""
    click.secho(
        f"headrace: {kind}: {one_line(message)}", fg=_COLOURS[kind], err=True, color=colour()
    )
    if hint:
        click.echo(f"hint: {one_line(hint)}", err=True)
