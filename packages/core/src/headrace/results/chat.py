"""What a conversation is made of: frozen values, in the words of OpenAI's chat API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from headrace.common.quotes import shown
from headrace.errors import ChatParseError
from headrace.params.fields import choice, refuse, strict_names
from headrace.results import Receipt, StopReason, Timings, TokenLogprob, Usage

ROLES = ("system", "developer", "user", "assistant", "tool")

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FINISH = {
    StopReason.MAX_TOKENS: "length",
    StopReason.CONTEXT_FULL: "length",
    StopReason.CANCELLED: "cancelled",
    StopReason.TIMED_OUT: "cancelled",
}


def _is_text(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str):
        refuse(instance, field, value, "a str")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        bad = value[error.start]
        refuse(instance, field, bad, f"text without lone surrogates (index {error.start})")


def _is_name(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        allowed = "1 to 64 letters, digits, dots, dashes and underscores"
        refuse(instance, field, value, allowed)


def _is_optional_text(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        _is_text(instance, field, value)


def _is_schema(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, Mapping):
        refuse(instance, field, value, "a JSON schema as a dict")
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        refuse(instance, field, value, f"a JSON schema ({error})")


def _are_calls(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(each, ToolCall) for each in value):
        refuse(instance, field, value, "a sequence of ToolCall")


def _are_problems(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    good = isinstance(value, tuple) and all(isinstance(each, ArgumentProblem) for each in value)
    if value is not None and not good:
        refuse(instance, field, value, "None or a sequence of ArgumentProblem")


def _or_no_arguments(value: Any) -> Any:
    return "{}" if value is None else value


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _no_number(name: str) -> float:
    """For what Python's ``json`` takes for numbers, and JSON does not."""
    raise ValueError(f"{name} is no JSON")


@attrs.frozen
class ArgumentProblem:
    """What is wrong with the arguments of a call."""

    path: str
    """The place in the arguments, such as ``#/days``; ``#``: all of them."""
    message: str
    """What is wrong there, for the model to read, too."""


@strict_names
@attrs.frozen(kw_only=True)
class ToolCall:
    """A call that the model wants made.

    Raises:
        ParamsError: For an unknown name or a wrong value.
    """

    id: str = attrs.field(default="", validator=_is_text)
    """What the answering ``tool`` message names in ``tool_call_id``."""
    name: str = attrs.field(validator=_is_text)
    """The tool's name."""
    arguments: str = attrs.field(default="{}", converter=_or_no_arguments, validator=_is_text)
    """A JSON object, as the model wrote it; empty, it is one without arguments."""
    problems: tuple[ArgumentProblem, ...] | None = attrs.field(
        default=None, converter=_as_tuple, validator=_are_problems, eq=False
    )
    """How the arguments differ from the tool's schema, which a finished answer was checked
    against: empty if they are valid; None if that was not looked at: in a message that does not
    come from an answer, and where the answer ended in the middle of the call."""

    @property
    def valid(self) -> bool | None:
        """Whether the arguments are valid under the tool's schema; None if that is not known."""
        return None if self.problems is None else not self.problems

    def parsed(self) -> dict[str, Any]:
        """The arguments by name.

        Raises:
            ChatParseError: If the model wrote something else than a JSON object; ``NaN`` and
                ``Infinity`` are no JSON.
        """
        try:
            found = json.loads(self.arguments.strip() or "{}", parse_constant=_no_number)
        except RecursionError:
            raise ChatParseError(
                f"the arguments of the call of {self.name!r} are nested too deeply",
                text=self.arguments,
            ) from None
        except ValueError as error:
            raise ChatParseError(
                f"the arguments of the call of {self.name!r} are no JSON: {error}",
                hint="Give the tool's name back to the model with what is wrong, or let it "
                "choose again.",
                text=self.arguments,
            ) from None
        if not isinstance(found, dict):
            raise ChatParseError(
                f"the arguments of the call of {self.name!r} are no JSON object: {shown(found)}",
                text=self.arguments,
            )
        return found


@strict_names
@attrs.frozen(kw_only=True)
class Tool:
    """A function that the model may ask to be called.

    Raises:
        ParamsError: For an unknown name or a wrong value.
    """

    name: str = attrs.field(validator=_is_name)
    """Unique in a request: 1 to 64 letters, digits, dots, dashes and underscores."""
    description: str = attrs.field(default="", validator=_is_text)
    """What it does and when to call it, for the model to read."""
    parameters: Mapping[str, Any] = attrs.field(
        factory=lambda: {"type": "object", "properties": {}}, validator=_is_schema
    )
    """JSON schema of its arguments, an object."""


@strict_names
@attrs.frozen(kw_only=True)
class ChatMessage:
    """One turn of a conversation.

    Raises:
        ParamsError: For an unknown name or a wrong value.
    """

    role: str = attrs.field(validator=choice(*ROLES))
    """Who speaks: ``system``, ``developer``, ``user``, ``assistant`` or ``tool``."""
    content: str = attrs.field(default="", validator=_is_text)
    """The text; may be empty beside tool calls."""
    reasoning: str = attrs.field(default="", validator=_is_text)
    """What an assistant thought before it answered; most templates leave out that of old turns."""
    tool_calls: tuple[ToolCall, ...] = attrs.field(
        default=(), converter=_as_tuple, validator=_are_calls
    )
    """What an assistant wants called."""
    tool_call_id: str | None = attrs.field(default=None, validator=_is_optional_text)
    """In a ``tool`` message: the call that it answers."""
    name: str | None = attrs.field(default=None, validator=_is_optional_text)
    """In a ``tool`` message: the tool's name, which some templates show."""

    unread: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    """In an answer: whether its content has something that looks like a call of a tool, or else
    like a part of the template's format, and could not be read as one."""

    def as_dict(self) -> dict[str, Any]:
        """The message in the shape of OpenAI's API, as JSON has it."""
        found: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.reasoning:
            found["reasoning_content"] = self.reasoning
        if self.tool_calls:
            found["tool_calls"] = [
                {
                    "type": "function",
                    "id": call.id,
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in self.tool_calls
            ]
        if self.tool_call_id is not None:
            found["tool_call_id"] = self.tool_call_id
        if self.name is not None:
            found["name"] = self.name
        return found


@attrs.frozen
class ToolCallDelta:
    """What is new of one tool call."""

    index: int
    """Which of the message's calls."""
    id: str = ""
    """Set in the first delta of a call."""
    name: str = ""
    """Set in the first delta of a call."""
    arguments: str = ""
    """New text of its arguments."""


@attrs.frozen
class ChatChunk:
    """What one turn of a chat stream's loop delivers; all of them together are the message."""

    content: str = ""
    """New text of the answer."""
    reasoning: str = ""
    """New text of the model's thoughts."""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    """What is new of its tool calls."""
    unread: bool = False
    """Whether something in the content could not be read; see ``ChatMessage.unread``."""


@attrs.frozen
class ChatCompletion:
    """A finished answer."""

    message: ChatMessage
    """The assistant's message: append it to the conversation."""
    stop_reason: StopReason
    """Why the generation ended."""
    text: str
    """All that the model wrote, before it was read as a message."""
    tokens: tuple[int, ...]
    """The token ids of ``text``."""
    usage: Usage
    """``prompt_tokens`` are those of the whole rendered conversation, ``cached_tokens`` those of
    them that were in memory already."""
    timings: Timings
    receipt: Receipt
    logprobs: tuple[TokenLogprob, ...] = ()
    """One for each of the tokens, if ``SamplingParams(logprobs=…)`` asked for them."""
    stop_string: str | None = None
    """Which stop string ended it; None for other ends, and where a service does not tell."""

    @property
    def unread(self) -> bool:
        """Whether something in the content could not be read; see ``ChatMessage.unread``."""
        return self.message.unread

    @property
    def finish_reason(self) -> str:
        """OpenAI's word for the end: ``stop``, ``length`` or ``tool_calls``; or ``cancelled``."""
        if self.stop_reason in _FINISH:
            return _FINISH[self.stop_reason]
        return "tool_calls" if self.message.tool_calls else "stop"
