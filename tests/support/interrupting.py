"""An exception at every place in turn, and a look at what the interpreter says of it."""

from __future__ import annotations

import contextlib
import dis
import gc
import sys
import warnings
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

from headrace import HeadraceError


class RaiseAt:
    """Raises at the n-th place in some files at which Python may look for signals.

    CPython does so after a call, when a function begins and when a loop turns. Finalizers are
    left out: what is raised in one is nobody's. A call that raised is left out too: the
    interpreter goes to the handler (``PUSH_EXC_INFO``) without a look.
    """

    def __init__(self, place: int, parts: tuple[str, ...], error: type[BaseException]) -> None:
        self.left = place
        self.fired = False
        self._parts = parts
        self._error = error
        self._previous: dict[FrameType, str] = {}

    def __enter__(self) -> RaiseAt:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.settrace(self._before)
        self._previous.clear()  # frames, and with them what they hold

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not any(part in frame.f_code.co_filename for part in self._parts):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode" and not self.fired and self._may_look(frame):
            self.left -= 1
            if self.left < 0:
                self.fired = True
                self._interrupt()
        return self._trace

    def _interrupt(self) -> None:
        raise self._error

    def _may_look(self, frame: FrameType) -> bool:
        name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        before = self._previous.get(frame, "")
        self._previous[frame] = name
        looks = before.startswith("CALL") or name == "RESUME" or "JUMP_BACKWARD" in before
        return looks and name != "PUSH_EXC_INFO" and not _in_finalizer(frame)


def _in_finalizer(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing is said behind anybody's back: no ignored exception, no warning."""
    noise: list[object] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda told: noise.append((told.err_msg, told.object, told.exc_value))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # Of a file that was opened by a ``with`` statement and interrupted before its block:
            # the interpreter closes it at once, and no Python code can do better.
            warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
            yield
            gc.collect()
    finally:
        sys.unraisablehook = before
    assert not noise, noise


def interrupt_everywhere(
    make: Callable[[], Any],
    end: Callable[[Any], object],
    *,
    parts: tuple[str, ...],
    step: int = 1,
    error: type[BaseException] = KeyboardInterrupt,
) -> int:
    """Have something made and interrupted at each place, in silence.

    Args:
        make: Makes it.
        end: Ends it in the ordinary way, where it was made after all.
        parts: Parts of the names of the files that places are looked for in.
        step: Of so many places one.
        error: What is raised.

    Returns:
        How many places there were.
    """
    end(make())
    with RaiseAt(10**9, parts, error):  # Python 3.12 sees bytecodes only where it did before
        end(make())
    gc.collect()
    gc.freeze()  # what there is already need not be looked through each time
    try:
        return _interrupt_everywhere(make, end, parts, step, error)
    finally:
        gc.unfreeze()


def _interrupt_everywhere(
    make: Callable[[], Any],
    end: Callable[[Any], object],
    parts: tuple[str, ...],
    step: int,
    error: type[BaseException],
) -> int:
    place, fired = 0, True
    while fired:
        with silence():
            made: Any = None
            try:
                with RaiseAt(place, parts, error) as interrupt:
                    made = make()
            except (error, HeadraceError):  # typed, where it is taken for a backend's
                pass
            else:
                end(made)
            del made
        fired = interrupt.fired
        place += step
    return place
