"""The two Python functions that native code calls: load progress, and signals.

An exception cannot pass through C, so each is kept where the thread that made
the native call finds it, the function returns "stop", and that thread raises it
again once the call is over. Both are called on the thread that made the call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from headrace_llamacpp._native import ffi, lib


class _Kept(threading.local):
    error: BaseException | None = None


_kept = _Kept()


def _keep(kind: type[BaseException], error: BaseException | None, traceback: Any) -> int:
    # With its traceback: where it was raised tells whose it is.
    _kept.error = (error or kind()).with_traceback(traceback)
    return 1


def take_error() -> BaseException | None:
    """The exception that a callback on this thread has kept, once."""
    error, _kept.error = _kept.error, None
    return error


def in_main_thread() -> bool:
    """Whether this is the thread on which Python runs signal handlers."""
    return threading.get_ident() == threading.main_thread().ident


def interruptible(call: Callable[[Any, Any], int]) -> None:
    """Make a native call that takes an ``hr_check_fn`` and its argument.

    Raises:
        BaseException: What a signal handler raised meanwhile, which ended the call.
    """
    if not in_main_thread():
        call(ffi.NULL, ffi.NULL)
        return
    take_error()
    call(lib.headrace_check, ffi.NULL)
    raised = take_error()
    if raised is not None:
        raise raised


@ffi.def_extern(onerror=_keep, error=1)  # type: ignore[untyped-decorator]
def headrace_progress(value: float, user: Any) -> int:
    """Called at most every 50 ms of a load; nonzero ends it."""
    progress = ffi.from_handle(user)
    return 1 if progress is not None and progress(value) is False else 0


@ffi.def_extern(onerror=_keep, error=1)  # type: ignore[untyped-decorator]
def headrace_check(user: Any) -> int:
    """Called at most every 50 ms of a call on the main thread; nonzero ends it."""
    # Being here is enough: the interpreter runs signal handlers when a function
    # begins and when a loop turns.
    for _ in range(2):
        pass
    return 0
