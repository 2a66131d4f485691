"""A call that may take long: it tells its progress, and can be ended from another thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from headrace_subprocess.signals import Note, Signal

if TYPE_CHECKING:
    from headrace_subprocess.model import SubprocessModel

_T = TypeVar("_T")


class Call:
    """One call of a method that has an asynchronous form, to be run once.

    The child runs that form, whose cancelling is what ends it inside a native call.

    Args:
        model: Whose child it runs in.
        session: Number of the session it is a method of; 0: the model's own.
        method: Its name without the ``a``.
        arguments: For it.
        options: Keywords for it.
        progress: Told the share that is done, in the thread that waits.
    """

    def __init__(
        self,
        model: SubprocessModel,
        session: int,
        method: str,
        arguments: list[Any],
        options: dict[str, Any],
        progress: Callable[[float], object] | None,
    ) -> None:
        self._model = model
        self._number = model.next_number()
        self._message = ("work", self._number, session, method, arguments, options)
        self._progress = progress

    def run(self, kind: type[_T]) -> _T:
        """What the method returns, which must be of a kind."""
        try:
            value = self._model.call(*self._message, on=self._told)
        except BaseException:
            self.cancel()
            raise
        if not isinstance(value, kind):
            raise self._model.worker.nonsense(self._message[3], value)
        return value

    def _told(self, kind: str, value: Any) -> None:
        if kind == "progress" and self._progress is not None:
            self._progress(value)

    def cancel(self) -> None:
        """End the work, from another thread; takes no lock."""
        # Of no effect once the work has ended; the waiting thread gets its error then.
        self._model.worker.signal(Note(Signal.STOP_CALL, self._number))
