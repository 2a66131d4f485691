"""The only module that imports the compiled binding.

Importing it starts llama.cpp: its log goes into the ring, its aborts into the
guard, its devices are looked for. The extension's own import errors pass.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

from headrace.errors import BackendUnavailableError
from headrace_llamacpp_ffi import build_info, ffi, lib, library_dir

__all__ = [
    "address",
    "build_info",
    "ffi",
    "lib",
    "library_files",
    "new_report",
    "status_name",
    "text",
]


def new_report() -> Any:
    """An ``hr_report`` for one call, or for all calls of one owner."""
    return ffi.new("hr_report *")


def address(of: str, view: memoryview) -> Any:
    """Where the numbers of a view lie; valid for as long as somebody has the view.

    No export of the view is left behind. Where one is, and the two are in a reference cycle, as
    whatever a traceback leads to may be, CPython's collector can end the process: it clears the
    view, and the end of the export then looks into it.

    Args:
        of: The C type of a number.
        view: One that is contiguous.
    """
    with ffi.from_buffer(f"{of}[]", view) as exported:
        return ffi.cast(f"{of} *", exported)


def text(pointer: Any) -> str:
    """A C string of the library as text; names in a damaged file may be no UTF-8."""
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", errors="replace")


def library_files() -> tuple[str, ...]:
    """Names of the library's files."""
    return tuple(sorted(path.name for path in library_dir.iterdir() if path.is_file()))


_NAMES: dict[int, str] = ffi.typeof("enum hr_status").elements


def status_name(status: int) -> str:
    """The name of a status in ``enum hr_status``."""
    return _NAMES[status]


def _start() -> None:
    report = new_report()
    if lib.hr_start(os.fsencode(library_dir), report) != lib.HR_OK:
        name = status_name(report.status)
        raise BackendUnavailableError(
            f"llama.cpp could not be started ({name}): {text(report.message)}",
            hint="Install headrace-llamacpp-ffi again.",
            backend="llamacpp",
        )
    # Objects that are alive when the interpreter goes down stay as they are: a daemon
    # thread may be inside them, and the process is about to give everything back.
    atexit.register(lib.hr_quiesce)


_start()
