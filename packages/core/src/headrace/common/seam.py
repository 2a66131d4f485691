"""The line between headrace and a backend: whose exception it is that comes over it.

Nothing a backend does wrong reaches a caller as a raw builtin, and nothing that
happens to the caller's own thread inside a backend's code is taken for the
backend's fault: a signal handler may raise anywhere, and memory or stack may run
out in any function that happens to be the next one called.
"""

from __future__ import annotations

import opcode
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, TracebackType
from typing import Any, NoReturn

import attrs

from headrace.common.quotes import message_of
from headrace.errors import BackendProtocolError, HeadraceError

_PANICS = "pyo3_runtime"
"""The module that panics of Rust extensions say they are of; no code of that name ever runs."""
DEFECT_HINT = "This is a defect of the backend; tell its authors."


def is_callers(error: BaseException) -> bool:
    """Whether an exception that came out of a backend belongs to whoever called it.

    So it is with what interrupts the call, with memory or stack that ran out (it happens to be
    a backend's function that was called last), and with what another thread put into this one
    (``PyThreadState_SetAsyncExc``). The last leaves no mark; it is known by a class that is
    neither a builtin's nor that of any code that ran, raised where no ``raise`` stands.
    """
    if isinstance(error, HeadraceError):
        return _handler_raised(error)
    if isinstance(error, (MemoryError, RecursionError)):
        return True
    return interrupts(error) or _was_put_here(error)


def interrupts(error: BaseException) -> bool:
    """Whether it came from outside of the code that ran: Ctrl-C, or a signal handler's.

    All that can be said with certainty, for code that is not to harm whoever happens to run it:
    plugins that are imported, observers, checks.
    """
    return isinstance(error, KeyboardInterrupt) or _handler_raised(error)


def _frames(error: BaseException) -> Iterator[TracebackType]:
    each = error.__traceback__
    while each is not None:
        yield each
        each = each.tb_next


def _handler_raised(error: BaseException) -> bool:
    handlers = {_code_of(signal.getsignal(each)) for each in signal.valid_signals()}
    return any(each.tb_frame.f_code in handlers for each in _frames(error))


def _code_of(handler: Any) -> CodeType | None:
    """What Python runs for a signal handler: a function, a method, a partial, any callable."""
    while hasattr(handler, "func"):
        handler = handler.func
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    if code is None and callable(handler):
        code = getattr(type(handler).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _was_put_here(error: BaseException) -> bool:
    package = type(error).__module__.partition(".")[0]
    # Threads are ended with a SystemExit that is put into them, and then has no code.
    ends_thread = isinstance(error, SystemExit) and error.code is None
    known = package in ("builtins", _PANICS) or package in sys.stdlib_module_names
    if known and not ends_thread:
        return False
    frames = list(_frames(error))
    names = [str(each.tb_frame.f_globals.get("__name__", "")) for each in frames]
    if not frames or package in [name.partition(".")[0] for name in names]:
        return False
    last = frames[-1]
    instructions = last.tb_frame.f_code.co_code
    if not 0 <= last.tb_lasti < len(instructions):
        return False  # compiled code that only looks like Python's
    name = opcode.opname[instructions[last.tb_lasti]]
    return name not in ("RAISE_VARARGS", "RERAISE")


@attrs.frozen
class Seam:
    """Gives what comes over the line to a backend its name.

    Args:
        backend: The name of what is behind it.
        noun: What that is.
    """

    backend: str
    noun: str = "backend"

    def during(self, call: str) -> During:
        """A ``with`` block around a call: what it raises that it should not gets a typed error."""
        return During(self, call)

    def blame(
        self,
        call: str,
        error: BaseException,
        kind: Callable[..., HeadraceError] = BackendProtocolError,
    ) -> HeadraceError | None:
        """The typed error for what a call raised; None if it is the caller's own.

        Args:
            call: What was called.
            error: What it raised.
            kind: The class for what it must not raise.
        """
        if is_callers(error) or not _may_be_a_backends(error):
            return None
        if isinstance(error, HeadraceError):
            return error
        failure = kind(
            f"{self.noun} {self.backend!r} raised {type(error).__name__} in {call}: "
            f"{message_of(error, most=2000)}",
            hint=DEFECT_HINT,
            backend=self.backend,
        )
        failure.__cause__ = error
        return failure

    def raise_for(
        self,
        call: str,
        error: BaseException,
        kind: Callable[..., HeadraceError] = BackendProtocolError,
    ) -> NoReturn:
        """Raise what a call raised, with a typed error in place of what it must not raise."""
        failure = self.blame(call, error, kind)
        if failure is None or failure is error:
            raise error
        raise failure from error

    def check_numbers(self, call: str, info: object, names: Iterable[str], least: int) -> None:
        """Raise ``BackendProtocolError`` unless these fields are whole numbers of at least that."""
        for name in names:
            value = getattr(info, name)
            if type(value) is not int or value < least:
                raise self.breach(call, f"info.{name} must be at least {least}, got {value!r:.60}")

    def breach(self, call: str, what: str) -> BackendProtocolError:
        """The error for something that a call must not give."""
        return BackendProtocolError(
            f"{self.noun} {self.backend!r} broke the protocol in {call}: {what}",
            hint=DEFECT_HINT,
            backend=self.backend,
        )


@attrs.frozen
class During:
    """See ``Seam.during``."""

    seam: Seam
    call: str

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and not isinstance(error, HeadraceError):
            self.seam.raise_for(self.call, error)


def _may_be_a_backends(error: BaseException) -> bool:
    """Exceptions, exits and panics; what else there is may be a task's cancellation."""
    return isinstance(error, (Exception, SystemExit)) or type(error).__module__ == _PANICS
