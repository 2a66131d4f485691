"""How a child ended, in words: which signal or exit, and which of its limits it ran into."""

from __future__ import annotations

import signal

from headrace.params import IsolationParams
from headrace_subprocess.process import Ended

FATAL = "Fatal Python error: "
"""Begins the line that Python's ``faulthandler`` writes on a signal that ends the process."""
_WANT_OF_MEMORY = ("SIGABRT", "SIGSEGV", "SIGBUS")


def describe(ended: Ended | None, limits: IsolationParams, last_words: str | None) -> str:
    """What happened to a process, to go on after its name.

    Args:
        ended: How it ended; None: it is still there, in spite of SIGKILL.
        limits: What it was allowed.
        last_words: What it wrote of a signal that ended it.
    """
    if ended is None:
        return "does not end, though it was killed"
    if ended.code is None:
        said = "" if last_words is None else f" with {last_words!r}"
        reason = "its exit status is unknown, as this program ignores or handles SIGCHLD"
        return f"ended{said}; {reason}"
    if ended.code >= 0:
        return f"ended by itself with exit code {ended.code}"
    name = _signal_name(-ended.code)
    return f"was ended by {name}{_remark(name, ended, limits)}"


def _remark(name: str, ended: Ended, limits: IsolationParams) -> str:
    """Which limit it was, where that can be told."""
    allowed = limits.cpu_seconds
    if name == "SIGXCPU" or (
        name == "SIGKILL" and allowed is not None and ended.cpu_seconds >= allowed
    ):
        of = "" if allowed is None else f", cpu_seconds={allowed}"
        return f" (its limit of processor time{of})"
    if name == "SIGKILL":
        return " (killed from outside, or by the system for want of memory)"
    if name == "SIGXFSZ":
        return " (it may not write to files: write_files=False)"
    if name in _WANT_OF_MEMORY and limits.memory_bytes is not None:
        return f" (perhaps for want of memory: memory_bytes={limits.memory_bytes})"
    return ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
