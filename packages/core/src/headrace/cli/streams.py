"""The standard streams as the environment gives them: closed, full, non-blocking, in any encoding.

Cron, daemons and shells start programs without one of them, or with one that cannot be
written. Between the commands, which print with click, and the three descriptors stand
streams that tell such a loss from everything else that can go wrong: without stdout the
program ends and says why, without stderr it goes on, and what stdout's encoding lacks is
written as escapes and said at the end.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any

import click

_ESCAPE, _TELL = "headrace.escape", "headrace.tell"
_PLAIN = {"·": "-", "…": "...", "≤": "<=", "≥": ">=", "−": "-", "–": "-", "×": "x"}
_escaped = 0


class PipeClosedError(Exception):
    """Whoever read stdout has gone, as ``head`` does; not to be taken for an error of a file."""


class StreamLostError(click.ClickException):
    """A standard stream cannot be used; the environment's doing."""

    def __init__(self, stream: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{stream} {reason}")
        self.hint = hint


class _Waiting(io.BufferedWriter):
    """Waits where a descriptor does not block and is full, as a shared terminal may be.

    What is done at this level and not below it is done once: an exception of a signal handler
    cannot come between a write and the note that it was made.
    """

    def write(self, data: Any, /) -> int:
        """Take all of it."""
        left = memoryview(data)
        while left:
            try:
                left = left[super().write(left) :]
            except BlockingIOError as error:
                left = left[error.characters_written :]
                self._wait()
        return len(data)

    def flush(self) -> None:
        """Write all of it."""
        while True:
            try:
                return super().flush()
            except BlockingIOError:
                self._wait()

    def _wait(self) -> None:
        select.select([], [self], [])


class _Output(_Waiting):
    """stdout: what cannot be written ends the program."""

    def write(self, data: Any, /) -> int:
        """Take all of it."""
        with _lost():
            return super().write(data)

    def flush(self) -> None:
        """Write all of it."""
        with _lost():
            super().flush()


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise PipeClosedError from error
    except OSError as error:
        raise StreamLostError("standard output", f"cannot be written: {error.strerror}") from error


class _Messages(_Waiting):
    """stderr: what cannot be written is lost, and nothing else is."""

    def write(self, data: Any, /) -> int:
        """Take it, or lose it."""
        with contextlib.suppress(OSError):
            super().write(data)
        return len(data)

    def flush(self) -> None:
        """Write it, or lose it."""
        with contextlib.suppress(OSError):
            super().flush()


class _Text(io.TextIOWrapper):
    """Text in the encoding that was asked for.

    Where that is ASCII, click would put UTF-8 in its place, so it is not told.
    """

    @property
    def encoding(self) -> str:  # type: ignore[override]
        real = super().encoding
        return "ascii, as it was asked for" if codecs.lookup(real).name == "ascii" else real


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Escapes for what an encoding lacks; bytes of a file name that are no text stay bytes."""
    global _escaped
    assert isinstance(error, UnicodeEncodeError)
    with contextlib.suppress(UnicodeEncodeError):
        return codecs.lookup_error("surrogateescape")(error)
    _escaped += error.end - error.start
    return codecs.backslashreplace_errors(error)


def _tell(error: UnicodeError) -> tuple[str | bytes, int]:
    """The punctuation of messages in plain characters, the rest as escapes."""
    assert isinstance(error, UnicodeEncodeError)
    plain = _PLAIN.get(error.object[error.start])
    if plain is not None:
        return plain, error.start + 1
    error.end = error.start + 1
    return codecs.backslashreplace_errors(error)


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Put them in the place of Python's; what somebody else has put there is left alone."""
    global _escaped
    _escaped = 0
    codecs.register_error(_ESCAPE, _escape)
    codecs.register_error(_TELL, _tell)
    _occupy()
    before = sys.stdout, sys.stderr
    sys.stdout = _replaced(sys.stdout, sys.__stdout__, _Output, _ESCAPE)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = _replaced(sys.stderr, sys.__stderr__, _Messages, _TELL)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _occupy() -> None:
    """Open the null device for descriptors that are closed.

    Otherwise the next file that is opened, such as a model, gets the number and is written into.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)


def _replaced(stream: Any, original: Any, writer: type[_Waiting], errors: str) -> Any:
    binary = getattr(stream, "buffer", None)
    raw = getattr(binary, "raw", binary)
    if stream is None or stream is not original or type(raw) is not io.FileIO:
        return stream
    return _Text(
        writer(io.FileIO(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def check_output() -> None:
    """Raise if there is no stdout: before a model is loaded, and not after it has answered.

    Raises:
        StreamLostError: If it is closed.
    """
    if sys.stdout is None:
        raise StreamLostError("standard output", "is closed", "Send it somewhere: >/dev/null.")


def discard_output() -> None:
    """Keep the interpreter from flushing into what cannot be written when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def escaped_text() -> tuple[str, str] | None:
    """What is to be said of text that stdout's encoding lacks, and what to do; None if nothing."""
    if not _escaped:
        return None
    encoding = codecs.lookup(sys.__stdout__.encoding).name if sys.__stdout__ else "unknown"
    count = f"{_escaped} character{'' if _escaped == 1 else 's'}"
    remedy = (
        f"Unset PYTHONIOENCODING, which is {os.environ['PYTHONIOENCODING']!r}"
        if os.environ.get("PYTHONIOENCODING")
        else "Set PYTHONUTF8=1, or a locale such as LC_ALL=C.UTF-8"
    )
    return (
        f"standard output is in {encoding}, which lacks {count} of this text; "
        "an escape such as \\xe9 stands for each",
        f"{remedy}.",
    )


def reads_terminal() -> bool:
    """Whether stdin is a terminal, where somebody can type."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_input(name: str) -> bytes:
    """All of stdin.

    Raises:
        UsageError: If it is closed.
        StreamLostError: If it cannot be read.
    """
    if sys.stdin is None:
        raise click.UsageError(f"Missing argument '{name}': standard input is closed.")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise StreamLostError(
            f"{name} cannot be read:", f"standard input: {error.strerror}"
        ) from error


def colour() -> bool | None:
    """False where nobody wants them (https://no-color.org), or the terminal has none; else None."""
    return False if os.environ.get("NO_COLOR") or _is_dumb() else None


def draws() -> bool:
    """Whether stderr is a terminal on which a line can be written again."""
    return sys.stderr.isatty() and not _is_dumb()


def _is_dumb() -> bool:
    return os.environ.get("TERM") == "dumb"
