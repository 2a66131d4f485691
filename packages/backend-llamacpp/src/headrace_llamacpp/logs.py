"""llama.cpp's log: from the shim's ring into ``logging``, and into errors.

Native code writes its log on any thread, with no GIL, into a bounded ring. It is
read when there is something new and Python is at work anyway: after a load, a
step, an error. Nothing is ever printed: without a handler of the application's
the messages go nowhere.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import attrs

from headrace.common.alone import Alone
from headrace_llamacpp._native import ffi, lib, text

logger = logging.getLogger("headrace.llamacpp")
# Or logging would print warnings to stderr for an application that set up no logging.
logger.addHandler(logging.NullHandler())

TAIL = 12
"""Lines of the native log that an error carries."""

_LEVELS: dict[int, int] = {
    lib.GGML_LOG_LEVEL_DEBUG: logging.DEBUG,
    lib.GGML_LOG_LEVEL_INFO: logging.INFO,
    lib.GGML_LOG_LEVEL_WARN: logging.WARNING,
    lib.GGML_LOG_LEVEL_ERROR: logging.ERROR,
}
_TABLES = re.compile(
    r"""
    llama_model_loader:\ (?:-\ |Dumping\ )     # metadata, and how many tensors of each type
    | print_info:\                            # hyperparameters and special tokens
    | load:\ +(?:-\ |printing\ |control[ -]token)  # tokens that end a generation, one a line
    | llama_context:\ \w+\ +=\                # settings of a context
    | (?:resolve_fused_ops|sched_reserve|llama_kv_cache\w*):\ (?!\ *\w+\ \w+\ buffer\ size)
    """,
    re.VERBOSE,
)
"""Tables that llama.cpp writes of every model and context, hundreds of lines, at INFO."""
_FUNCTION = re.compile(r"^[\w:~<>]+: +")
_drained = 0
_draining = Alone()


@attrs.frozen
class Entry:
    """A message of the native log."""

    serial: int
    call_id: int
    """The guarded call it was written in; 0: a thread of the library's own."""
    level: int
    """As in ``logging``."""
    text: str


def drain(ceiling: int = logging.CRITICAL) -> None:
    """Pass on what is new.

    Args:
        ceiling: Highest level to pass anything on at: what is a failure to llama.cpp
            may be in order here, as an interrupted computation is.
    """
    _draining.attempt(lambda: _drain(ceiling))


def _drain(ceiling: int) -> None:
    global _drained
    lib.hr_log_keep_debug(logger.isEnabledFor(logging.DEBUG))
    for entry in _entries(_drained):
        _drained = entry.serial
        logger.log(min(entry.level, ceiling), "%s", entry.text)


def pending() -> bool:
    """Whether there is something to drain."""
    return bool(lib.hr_log_serial() > _drained)


def of_call(call_id: int) -> list[Entry]:
    """What one guarded call has logged, oldest first, as far as the ring still has it."""
    return [entry for entry in _entries(0) if entry.call_id == call_id]


def tail(call_id: int) -> tuple[str, ...]:
    """The last lines that one guarded call has logged."""
    return tuple(entry.text for entry in of_call(call_id)[-TAIL:])


def complaints(call_id: int) -> list[str]:
    """What one guarded call has logged as errors, without the names of C functions."""
    errors = [entry for entry in of_call(call_id) if entry.level >= logging.ERROR]
    return [_FUNCTION.sub("", entry.text) for entry in errors]


def _entries(after: int) -> Iterator[Entry]:
    native = ffi.new("hr_log_entry *")
    while lib.hr_log_next(after, native):
        after = native.serial
        written = text(native.text).rstrip()
        yield Entry(after, native.call_id, _level(native.level, written), written)


def _level(native: int, written: str) -> int:
    """As llama.cpp has it, but what it dumps at INFO is for who looks for something: DEBUG."""
    level = _LEVELS.get(native, logging.INFO)
    return logging.DEBUG if level == logging.INFO and _TABLES.match(written) else level
