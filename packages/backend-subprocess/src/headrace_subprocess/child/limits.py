"""What the child may do, set before anything is loaded.

Each limit is set where the system has it; one that it refuses is written to the log.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys

from headrace.params import IsolationParams

_logger = logging.getLogger("headrace.subprocess")
_LATER = 5
"""Seconds of processor time between the signal that names the limit and SIGKILL."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def apply(params: IsolationParams) -> None:
    """Give up what is not allowed; there is no way back."""
    if params.memory_bytes is not None:
        _limit(resource.RLIMIT_AS, params.memory_bytes)
    if params.cpu_seconds is not None:
        # At the harder one there is only SIGKILL, which does not say what for.
        _limit(resource.RLIMIT_CPU, params.cpu_seconds, params.cpu_seconds + _LATER)
    if not params.write_files:
        # A write then fails instead of ending the process.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    if not params.network:
        _leave_network()


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    _, highest = resource.getrlimit(kind)
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    try:
        resource.setrlimit(kind, (soft, hard))
    except (OSError, ValueError) as error:
        _logger.warning("the limit %s could not be set: %s", kind, error)


def _leave_network() -> None:
    """Move to a network namespace that has no way out (Linux, while there is one thread)."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    # Without privileges the namespace of networks needs one of users around it.
    if libc.unshare(_CLONE_NEWNET) != 0 and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        _logger.info("the network could not be cut off: %s", reason)
