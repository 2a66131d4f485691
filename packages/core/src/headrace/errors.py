"""Every way in which headrace can fail, in one tree.

An end of a generation is a value (``StopReason``); an exception means failure.
Classes inherit a builtin where a caller would expect it, so that
``except FileNotFoundError`` works without knowing headrace.

::

    HeadraceError
    ├── UsageError(RuntimeError)            a call at the wrong moment
    │   ├── ClosedError                     the handle was closed
    │   ├── BusyError                       the session is generating
    │   ├── StreamConsumedError             the stream was read to its end
    │   ├── ForkedProcessError              the handle belongs to the parent process
    │   └── CopyError(TypeError)            the handle cannot be copied or pickled
    ├── ParamsError(ValueError)             a parameter's name or value
    ├── BackendError
    │   ├── BackendNotFoundError(LookupError)
    │   ├── BackendUnavailableError(ImportError)
    │   ├── BackendProtocolError            a plugin broke the protocol
    │   ├── BackendCrashedError             a backend's process died
    │   └── ServiceError                    a remote service refused or failed
    │       └── ServiceUnreachableError     no connection to it, or it broke
    ├── ModelError
    │   ├── ModelNotFoundError(FileNotFoundError)
    │   ├── ModelDownloadError              a reference could not be fetched
    │   ├── ModelFormatError(ValueError)
    │   ├── ModelLoadError
    │   ├── ModelLoadCancelledError
    │   └── ModelMemoryError(MemoryError)
    ├── TokenizeError(ValueError)
    ├── GrammarError(ValueError)
    ├── TemplateError(ValueError)
    │   └── ChatParseError                  an answer is not in its template's format
    ├── StateError(ValueError)
    ├── ContextFullError                    the prompt does not fit
    ├── DecodeError                         the native call failed
    └── UnsupportedError(NotImplementedError)
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import Any, TypeVar

_Self = TypeVar("_Self", bound="HeadraceError")


class HeadraceError(Exception):
    """Base of everything headrace raises on purpose.

    Args:
        message: What went wrong, naming the field or file and its value.
        hint: What the reader can do about it, as a sentence.
        backend: Name of the backend concerned.
        native_code: Status code of the native library, where one was returned.
        native_log: Last lines of the native log, oldest first.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        backend: str | None = None,
        native_code: int | None = None,
        native_log: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.backend = backend
        self.native_code = native_code
        self.native_log = tuple(native_log)

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    @property
    def docs(self) -> str:
        """Where the documentation explains this class: a page of the repository and an anchor."""
        known = next(each for each in type(self).__mro__ if each.__module__ == __name__)
        return f"docs/errors.md#{known.__name__.lower()}"

    def kept(self: _Self) -> _Self:
        """The same error for keeping, to be raised again later with ``again``.

        It holds no frame that this one passed through: the callers' variables would live
        as long as whatever keeps it.
        """
        cause = self.__cause__
        if type(cause) is type(self) and cause.args == self.args and vars(cause) == vars(self):
            return cause  # what it was raised again from
        kept = self._copy()
        kept.__cause__ = None if cause is None else _without_frames(cause)
        return kept

    def again(self: _Self) -> _Self:
        """A new error that says the same, with this one as its cause.

        To be raised instead of one that is kept: an error that is raised gets a traceback,
        and one that is raised often would get one that grows.
        """
        error = self._copy()
        error.__cause__ = self
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(vars(self))
        if self.__cause__ is not None:
            state["__cause__"] = _picklable(self.__cause__)
        return _made, (type(self), self.args), state

    def _copy(self: _Self) -> _Self:
        copy = _made(type(self), self.args)
        vars(copy).update(vars(self))
        if "__notes__" in vars(copy):
            vars(copy)["__notes__"] = list(vars(copy)["__notes__"])
        return copy


class UsageError(HeadraceError, RuntimeError):
    """A call came at the wrong moment."""


class ClosedError(UsageError):
    """The model, session or stream was closed before or during the call."""


class BusyError(UsageError):
    """The session has a generation under way; ``stream.cancel()`` ends it."""


class StreamConsumedError(UsageError):
    """The stream was already read to its end, or is being read elsewhere."""


class ForkedProcessError(UsageError):
    """The handle was made in a parent process and is unusable after a fork."""


class CopyError(UsageError, TypeError):
    """A handle was copied or pickled; what it stands for is there once."""


class ParamsError(HeadraceError, ValueError):
    """A parameter has an unknown name or a value outside its range."""


class BackendError(HeadraceError):
    """A backend could not be found, imported or trusted."""


class BackendNotFoundError(BackendError, LookupError):
    """No installed backend has that name, or none can load the reference."""


class BackendUnavailableError(BackendError, ImportError):
    """The backend is installed but something it needs cannot be imported."""


class BackendProtocolError(BackendError):
    """A plugin does not keep the protocol of its version."""


class BackendCrashedError(BackendError):
    """The process that a backend runs in has died."""


_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""Statuses of HTTP that may be gone when the same is asked again."""


class ServiceError(BackendError):
    """A remote service refused a request, or failed to answer it.

    Args:
        status: What it answered, as a status of HTTP; None if it gave none.
        retry_after: Seconds after which it says to ask again; None if it does not say.
        retryable: Whether the same request may succeed later; None: as the status says.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.status = status
        self.retry_after = retry_after
        if retryable is None:
            retryable = self._retryable_by_itself()
        self.retryable = retryable

    def _retryable_by_itself(self) -> bool:
        return self.status in _RETRYABLE or self.retry_after is not None


class ServiceUnreachableError(ServiceError):
    """There is no connection to a remote service, or it broke; it may be there later."""

    def _retryable_by_itself(self) -> bool:
        return True


class ModelError(HeadraceError):
    """A model could not be loaded."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no model file at the reference."""


class ModelDownloadError(ModelError):
    """A model that a reference names could not be fetched: no network, no access."""


class ModelFormatError(ModelError, ValueError):
    """The file is not a model, is damaged, or has no usable vocabulary."""


class ModelLoadError(ModelError):
    """The native library refused to load the model; its log says why."""


class ModelLoadCancelledError(ModelError):
    """The caller's progress function ended the load."""


class ModelMemoryError(ModelError, MemoryError):
    """There is not enough memory for the model or its context."""


class TokenizeError(HeadraceError, ValueError):
    """The text or the token ids cannot be converted."""


class GrammarError(HeadraceError, ValueError):
    """A grammar cannot be parsed or converted, or allows no further token.

    Args:
        line: Of the text of a grammar or pattern, from 1.
        column: The same, in characters.
        path: The place in a JSON schema, such as ``#/properties/age/minimum``.
    """

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        path: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.line = line
        self.column = column
        self.path = path


class TemplateError(HeadraceError, ValueError):
    """A chat template cannot be parsed or rendered."""


class ChatParseError(TemplateError):
    """What the model wrote cannot be read as a message of its template's format.

    Args:
        text: All that the model wrote.
    """

    def __init__(self, message: str, *, text: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.text = text


class StateError(HeadraceError, ValueError):
    """A saved state is damaged or belongs to another model or build."""


class ContextFullError(HeadraceError):
    """The prompt does not fit into the context.

    Args:
        n_tokens: How many tokens there would be, history and prompt together; None: not counted.
        n_ctx: How many there is room for; None: not known.
    """

    def __init__(
        self,
        message: str,
        *,
        n_tokens: int | None = None,
        n_ctx: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.n_tokens = n_tokens
        self.n_ctx = n_ctx


class DecodeError(HeadraceError):
    """The native library failed to run a step.

    Args:
        poisoned: True when the native context is unusable from now on: its
            sessions cannot go on, but a new session on the model can.
    """

    def __init__(self, message: str, *, poisoned: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.poisoned = poisoned


class UnsupportedError(HeadraceError, NotImplementedError):
    """The backend or the model lacks this capability."""


def _made(kind: type[_Self], args: tuple[Any, ...]) -> _Self:
    """An error of a class that may want other arguments: a backend's own subclass."""
    builtin: Any = kind
    while builtin.__module__ != "builtins":
        builtin = builtin.__base__
    error: _Self = builtin.__new__(kind)
    HeadraceError.__init__(error, str(args[0]) if args else "")
    error.args = args
    return error


def _picklable(cause: BaseException) -> BaseException:
    """A cause, or the text of one that would not come out of a pickle as it went in."""
    if isinstance(cause, HeadraceError):
        return cause
    import pickle

    try:
        pickle.loads(pickle.dumps(cause))
    except Exception:  # whatever an exception's own arguments make of it
        return _Traceback(_told(cause))
    return cause


class _Traceback(Exception):
    """What stands for frames that are not kept: the text of a traceback."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def _without_frames(error: BaseException) -> BaseException:
    """Make text of an error's traceback, and of those it came from."""
    if error.__traceback__ is not None:
        error.__cause__ = _Traceback(_told(error))
        error.__traceback__ = error.__context__ = None
    return error


def _told(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as second:  # a stack that is full, memory that is short
        return f"(no traceback: {type(second).__name__})"
