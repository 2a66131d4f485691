"""What can go wrong, as a client sees it: a status, a code, a message with a remedy.

Every error of headrace has its line in one table. The message is the error's own, which names the
field in the words of the API; the status says whose fault it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import attrs

from headrace import errors


class ApiError(Exception):
    """A request that cannot be answered.

    Args:
        status: HTTP's.
        code: What programs look at.
        message: What went wrong, naming the field and its value, and what to do.
        param: The field, as the request spells it.
        headers: More for the response, such as ``Retry-After``.
        details: More for the body's ``error`` object.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.details = dict(details or {})

    @property
    def kind(self) -> str:
        """OpenAI's ``type`` of error."""
        return _KINDS.get(
            self.status, "invalid_request_error" if self.status < 500 else "server_error"
        )


class GoneError(Exception):
    """The client went away, or takes nothing any more."""


_NO_NAMES: Mapping[str, str] = {}
_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


@attrs.frozen
class Answer:
    """How one class of errors is told."""

    status: int
    code: str


BAD = HTTPStatus.BAD_REQUEST.value
TABLE: Mapping[type[errors.HeadraceError], Answer] = {
    errors.HeadraceError: Answer(500, "internal_error"),
    errors.UsageError: Answer(500, "internal_error"),
    errors.ClosedError: Answer(503, "model_unloaded"),
    errors.BusyError: Answer(503, "busy"),
    errors.StreamConsumedError: Answer(500, "internal_error"),
    errors.ForkedProcessError: Answer(500, "internal_error"),
    errors.CopyError: Answer(500, "internal_error"),
    errors.ParamsError: Answer(BAD, "invalid_value"),
    errors.BackendError: Answer(500, "backend_error"),
    errors.BackendNotFoundError: Answer(500, "backend_not_found"),
    errors.BackendUnavailableError: Answer(503, "backend_unavailable"),
    errors.BackendProtocolError: Answer(500, "backend_error"),
    errors.BackendCrashedError: Answer(503, "model_crashed"),
    errors.ServiceError: Answer(502, "upstream_error"),
    errors.ServiceUnreachableError: Answer(504, "upstream_unreachable"),
    errors.ModelError: Answer(503, "model_unavailable"),
    errors.ModelNotFoundError: Answer(503, "model_file_missing"),
    errors.ModelDownloadError: Answer(503, "model_download_failed"),
    errors.ModelFormatError: Answer(503, "model_damaged"),
    errors.ModelLoadError: Answer(503, "model_load_failed"),
    errors.ModelLoadCancelledError: Answer(503, "model_load_cancelled"),
    errors.ModelMemoryError: Answer(503, "out_of_memory"),
    errors.TokenizeError: Answer(BAD, "invalid_text"),
    errors.GrammarError: Answer(BAD, "invalid_grammar"),
    errors.TemplateError: Answer(BAD, "template_error"),
    errors.ChatParseError: Answer(500, "unreadable_answer"),
    errors.StateError: Answer(500, "state_error"),
    errors.ContextFullError: Answer(BAD, "context_length_exceeded"),
    errors.DecodeError: Answer(500, "decode_failed"),
    errors.UnsupportedError: Answer(BAD, "unsupported"),
}
"""For each class of headrace's errors its own line; a subclass of a backend's has its parent's."""


def too_late() -> ApiError:
    """An error for a request whose time has run out."""
    return ApiError(
        504,
        "request_timeout",
        "the request's time ran out before the answer was complete; ask for less, or start the "
        "server with a larger --request-timeout",
    )


def told(error: BaseException, names: Mapping[str, str] = _NO_NAMES) -> ApiError:
    """How an error is told; what is no error of headrace's is the server's own fault.

    Args:
        error: What was raised; of several at once the first.
        names: Fields that requests call otherwise than headrace does, by headrace's name.
    """
    while (group := getattr(error, "exceptions", None)) is not None:
        error = group[0]
    if isinstance(error, ApiError):
        return error
    if isinstance(error, (errors.ParamsError, errors.TokenizeError)):
        return in_words_of_requests(error, names)
    if isinstance(error, errors.ContextFullError):
        return _too_long(error, names)
    for kind in type(error).__mro__:
        answer = TABLE.get(kind)
        if answer is not None:
            return _named(answer, _message(error), names)
    if isinstance(error, RecursionError):
        return ApiError(
            BAD, "invalid_value", "the body: its values are nested too deeply; send flatter ones"
        )
    return ApiError(500, "internal_error", "the server failed; its log says why")


def _message(error: BaseException) -> str:
    """What an error says; without a remedy that only a program in Python has."""
    hint = getattr(error, "hint", None)
    if isinstance(error, errors.HeadraceError) and hint and _KEYWORD.search(hint):
        return error.message
    return str(error)


def _named(answer: Answer, message: str, names: Mapping[str, str]) -> ApiError:
    """An error that speaks of one parameter of sampling, as one of the request's field."""
    found = _SAMPLING.search(message)
    if found is None or answer.status >= 500:
        return ApiError(answer.status, answer.code, message)
    field = names.get(found[1], found[1])
    told = _SAMPLING.sub(lambda each: names.get(each[1], each[1]), message)
    return ApiError(answer.status, answer.code, f"{field}: {told}", param=field)


def _too_long(error: errors.ContextFullError, names: Mapping[str, str]) -> ApiError:
    """A prompt that does not fit: always the same, with both numbers where they are known."""
    answer = TABLE[errors.ContextFullError]
    needed, room = error.n_tokens, error.n_ctx
    if needed is None or room is None:
        return ApiError(answer.status, answer.code, str(error))
    numbers = {"n_prompt_tokens": needed, "n_ctx": room}
    one_of_many = _ONE_OF_MANY.match(error.message)
    if one_of_many is not None:
        field = names.get(one_of_many[1], one_of_many[1]) + one_of_many[2]
        message = f"{field}: has {needed} tokens, more than the {room} that fit: send less"
        return ApiError(answer.status, answer.code, message, param=field, details=numbers)
    return ApiError(
        answer.status,
        answer.code,
        f"the prompt has {needed} tokens and the context holds {room}: send less, or start the "
        "server with a larger --n-ctx",
        details=numbers,
    )


def openai_body(error: ApiError) -> dict[str, Any]:
    """An error in the shape of OpenAI's interface."""
    return {
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.code,
            **error.details,
        }
    }


_ONE_OF_MANY = re.compile(r"(\w+)(\[\d+\]) has ")
_KEYWORD = re.compile(r"\b\w+=")
_SAMPLING = re.compile(r"\bSamplingParams\.(\w+)")
_FIELD = re.compile(
    r"^(?:[A-Z]\w*\.)?(?P<field>[a-z_]\w*(?:\[\d+\]|\['\w+'\]|\.\w+)*)"
    r"(?P<rest>(?:,|:|=| (?:must|has|is|are|names|cannot|does|needs)\b).*)$",
    re.DOTALL,
)
_INNER = re.compile(r"\['(\w+)'\]")
_WORDS = {"None": "null", "True": "true", "False": "false", "a dict": "an object"}
_PYTHON = re.compile(r"\b(?:None|True|False|a dict)\b")


def in_words_of_requests(error: errors.HeadraceError, names: Mapping[str, str]) -> ApiError:
    """An error about a parameter of headrace's, as one about a field of a request.

    Args:
        error: What headrace says.
        names: Fields that requests call otherwise, by headrace's name.
    """
    code = "invalid_text" if isinstance(error, errors.TokenizeError) else "invalid_value"
    what, got, value = error.message.partition(", got ")
    hint = f". {error.hint}" if error.hint else ""
    found = _FIELD.match(what)
    if found is None:
        return ApiError(BAD, code, f"{_in_json(what)}{got}{value}{_in_json(hint)}")
    field = _INNER.sub(r".\1", found["field"])
    top, _, _ = field.partition(".")
    top, _, _ = top.partition("[")
    field = names.get(top, top) + field[len(top) :]
    rest = found["rest"].lstrip()
    message = f"{field}: {_in_json(rest)}{got}{value}{_in_json(hint)}"
    return ApiError(BAD, code, message, param=field)


def _in_json(text: str) -> str:
    return _PYTHON.sub(lambda word: _WORDS[word[0]], text)
