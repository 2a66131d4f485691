"""Observers: who is told that a generation started, finished or failed.

A token stream tells them, whichever backend it reads from. Nothing is done for a
stream that began while nobody listened. Observers are called in the reader's
thread, outside of headrace's locks; never from a finalizer, whose news waits for
the next event; and never inside one another on one thread, so that an observer
with a lock of its own is not entered twice.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import attrs

from headrace.common.description import Described
from headrace.common.seam import interrupts
from headrace.common.uncopyable import Uncopyable
from headrace.errors import HeadraceError, ParamsError
from headrace.results import Completion, ModelInfo, StopReason, Timings, Usage

_METHODS = ("generation_started", "generation_finished", "generation_failed")
_MOST_WAITING = 1024
"""Events kept for the next one to deliver; the oldest are lost beyond that."""

log = logging.getLogger("headrace.observers")


@attrs.frozen(kw_only=True)
class GenerationEvent:
    """What all events of one generation have in common; none has texts or tokens."""

    generation: int
    """Number of the generation in this process, the same in all its events."""
    model: str | None
    """The model's name; None if the backend does not tell."""
    backend: str | None
    """Name of the backend; None if it does not tell."""
    prompt_tokens: int | None
    """Tokens of the prompt; None if the backend does not count before the end."""


@attrs.frozen(kw_only=True)
class GenerationStarted(GenerationEvent):
    """The first chunk was asked for; nothing was computed yet."""


@attrs.frozen(kw_only=True)
class GenerationFinished(GenerationEvent):
    """The generation ended, early ends included."""

    stop_reason: StopReason
    """Why."""
    usage: Usage
    """Tokens counted."""
    timings: Timings
    """Where the time went."""
    abandoned: bool = False
    """Whether the stream was dropped before its end: then only the tokens delivered and the
    whole time are known."""


@attrs.frozen(kw_only=True)
class GenerationFailed(GenerationEvent):
    """The generation ended with an error."""

    error: str
    """Name of the error's class, such as ``DecodeError``."""
    completion_tokens: int
    """Tokens delivered before."""
    total_seconds: float
    """Time since the first chunk was asked for, on the monotonic clock."""


class Observer:
    """Base of observers; override what you want to hear. Methods must be quick."""

    def generation_started(self, event: GenerationStarted) -> None:
        """A reader asked for the first chunk."""

    def generation_finished(self, event: GenerationFinished) -> None:
        """A generation ended."""

    def generation_failed(self, event: GenerationFailed) -> None:
        """A generation ended with an error."""


@attrs.frozen
class FailedObserver:
    """An observer that raised, and is not called any more in this process."""

    name: str
    """Its class, and the plugin it came from."""
    traceback: str
    """What it raised."""


@attrs.define(eq=False)
class _Entry:
    observer: object
    name: str
    failure: FailedObserver | None = None

    def tell(self, method: str, event: GenerationEvent) -> None:
        if self.failure is not None:
            return
        try:
            call = getattr(self.observer, method, None)
            if call is not None:
                call(event)
        except BaseException as error:  # an observer's mistake must not become the reader's
            if interrupts(error):
                raise
            trace = "".join(traceback.format_exception(error))
            self.failure = FailedObserver(self.name, trace)
            log.exception("observer %s raised and is not called any more", self.name)


class Observation(Uncopyable, Described):
    """The handle of a registered observer; leave its ``with`` block or close it to unregister."""

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry

    def _described(self) -> str:
        return f"of {self._entry.name}" + (", which has failed" if self.failure else "")

    def close(self) -> None:
        """Unregister; generations that have started are still reported. Again: nothing."""
        _entries.pop(id(self._entry), None)

    @property
    def failure(self) -> FailedObserver | None:
        """What the observer raised, if it did."""
        return self._entry.failure

    def __enter__(self) -> Observation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


# By id. Single operations on it are atomic, so that no lock is needed, which a
# forked child might find held.
_entries: dict[int, _Entry] = {}
_from_plugins: tuple[_Entry, ...] = ()
_followed: tuple[tuple[str, object], ...] = ()
_numbers = itertools.count(1)
_waiting: deque[tuple[tuple[_Entry, ...], str, GenerationEvent]] = deque(maxlen=_MOST_WAITING)
_calling = threading.local()


def observe(observer: object) -> Observation:
    """Tell an observer of every generation that starts from now on.

    Args:
        observer: An object with one or more methods of ``Observer``.

    Returns:
        A handle that unregisters it; it can be used in a ``with`` statement.

    Raises:
        ParamsError: If it has none of the methods, or an asynchronous one.
    """
    check_observer(observer)
    entry = _Entry(observer, type(observer).__qualname__)
    _entries[id(entry)] = entry
    return Observation(entry)


def check_observer(observer: object) -> None:
    """Raise unless the object can be told something.

    Raises:
        ParamsError: Naming what is missing or wrong.
    """
    if isinstance(observer, type):
        raise ParamsError(f"the observer is a class, {observer.__qualname__}; use an object of it")
    label = type(observer).__qualname__
    found = {name: getattr(observer, name) for name in _METHODS if hasattr(observer, name)}
    if not found:
        raise ParamsError(f"{label} has none of the methods {', '.join(_METHODS)}")
    for name, method in found.items():
        if not callable(method) or inspect.iscoroutinefunction(method):
            raise ParamsError(f"{label}.{name} must be an ordinary method, not a coroutine")


def follow(observers: Iterable[tuple[str, object]]) -> None:
    """Have the observers of the installed plugins told, instead of those told before.

    Args:
        observers: Each with the name that it goes by in messages.
    """
    global _from_plugins, _followed
    found = tuple(observers)
    if found == _followed:
        return
    _followed = found
    _from_plugins = tuple(_Entry(observer, name) for name, observer in found)


def failed_observers() -> tuple[FailedObserver, ...]:
    """Those that raised in this process."""
    found = (each.failure for each in (*_from_plugins, *_entries.values()))
    return tuple(each for each in found if each is not None)


def watch(model: ModelInfo | None, prompt_tokens: int | None) -> Watch | None:
    """What tells the observers of a stream that is being made; None if nobody listens."""
    if not _entries and not _from_plugins:
        return None
    return Watch((*_from_plugins, *_entries.values()), model, prompt_tokens)


class Watch:
    """Tells the observers of one stream, each event once."""

    def __init__(
        self, entries: tuple[_Entry, ...], model: ModelInfo | None, prompt_tokens: int | None
    ) -> None:
        self._entries = entries
        self._common: dict[str, Any] = {
            "generation": next(_numbers),
            "model": None if model is None else model.name,
            "backend": None if model is None else model.backend,
            "prompt_tokens": prompt_tokens,
        }
        self._began: float | None = None
        self._ended = False

    def start(self) -> None:
        """The first chunk is asked for."""
        if self._began is None:
            self._began = time.monotonic()
            self._tell("generation_started", GenerationStarted(**self._common))

    def end(self, completion: Completion | None, failure: HeadraceError | None, seen: int) -> None:
        """Tell how it ended; nothing if it did not yet, or never started."""
        if self._ended or self._began is None or (completion is None and failure is None):
            return
        self._ended = True
        if failure is not None:
            event: GenerationEvent = GenerationFailed(
                **self._common,
                error=type(failure).__name__,
                completion_tokens=seen,
                total_seconds=time.monotonic() - self._began,
            )
            self._tell("generation_failed", event)
        elif completion is not None:
            common = {**self._common, "prompt_tokens": completion.usage.prompt_tokens}
            common["backend"] = self._common["backend"] or completion.receipt.backend
            event = GenerationFinished(
                **common,
                stop_reason=completion.stop_reason,
                usage=completion.usage,
                timings=completion.timings,
            )
            self._tell("generation_finished", event)

    def abandon(self, seen: int) -> None:
        """The stream was dropped: called by its finalizer, so only noted."""
        if self._ended or self._began is None:
            return
        self._ended = True
        event = GenerationFinished(
            **self._common,
            stop_reason=StopReason.CANCELLED,
            usage=Usage(self._common["prompt_tokens"] or 0, 0, seen),
            timings=Timings(total_seconds=time.monotonic() - self._began),
            abandoned=True,
        )
        _waiting.append((self._entries, "generation_finished", event))

    def _tell(self, method: str, event: GenerationEvent) -> None:
        if getattr(_calling, "inside", False):
            # In a signal handler or a generation of an observer; who is below on the
            # stack goes on with what waits.
            _waiting.append((self._entries, method, event))
            return
        _calling.inside = True
        try:
            for entry in self._entries:
                entry.tell(method, event)
            _deliver_waiting()
        finally:
            _calling.inside = False


def _deliver_waiting() -> None:
    while _waiting:
        try:
            entries, method, event = _waiting.popleft()
        except IndexError:  # another thread took it
            return
        for entry in entries:
            entry.tell(method, event)
