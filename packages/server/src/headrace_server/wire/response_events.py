"""The events of a response, in the order in which a stream has them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headrace_server.wire.chat import TokenLogprob
from headrace_server.wire.responses import (
    Item,
    OutputText,
    ReasoningText,
    Response,
)


class Event(msgspec.Struct, kw_only=True):
    """What all have in common."""

    sequence_number: int = 0


class OfResponse(Event, kw_only=True):
    """Tells the response as it stands."""

    response: Response


class Created(OfResponse, tag="response.created", kw_only=True):
    """The first."""


class InProgress(OfResponse, tag="response.in_progress", kw_only=True):
    """The second."""


class Completed(OfResponse, tag="response.completed", kw_only=True):
    """The last, if the model has ended by itself."""


class Incomplete(OfResponse, tag="response.incomplete", kw_only=True):
    """The last, if the answer was cut."""


class Failed(OfResponse, tag="response.failed", kw_only=True):
    """The last, if there was an error."""


class OfItem(Event, kw_only=True):
    """Tells an item as it stands."""

    output_index: int
    item: Item


class ItemAdded(OfItem, tag="response.output_item.added", kw_only=True):
    """An item begins."""


class ItemDone(OfItem, tag="response.output_item.done", kw_only=True):
    """An item is whole."""


class InItem(Event, kw_only=True):
    """Something inside of an item."""

    item_id: str
    output_index: int


class InContent(InItem, kw_only=True):
    """Something inside of an item's content."""

    content_index: int = 0


class PartAdded(InContent, tag="response.content_part.added", kw_only=True):
    """A part of the content begins."""

    part: OutputText | ReasoningText


class PartDone(InContent, tag="response.content_part.done", kw_only=True):
    """A part of the content is whole."""

    part: OutputText | ReasoningText


class TextDelta(InContent, tag="response.output_text.delta", kw_only=True):
    """New text."""

    delta: str
    logprobs: Sequence[TokenLogprob] = ()


class TextDone(InContent, tag="response.output_text.done", kw_only=True):
    """The text is whole."""

    text: str
    logprobs: Sequence[TokenLogprob] = ()


class ReasoningDelta(InContent, tag="response.reasoning_text.delta", kw_only=True):
    """New thoughts."""

    delta: str


class ReasoningDone(InContent, tag="response.reasoning_text.done", kw_only=True):
    """The thoughts are whole."""

    text: str


class ArgumentsDelta(InItem, tag="response.function_call_arguments.delta", kw_only=True):
    """New text of a call's arguments."""

    delta: str


class ArgumentsDone(InItem, tag="response.function_call_arguments.done", kw_only=True):
    """A call's arguments are whole."""

    name: str
    arguments: str


class ErrorEvent(Event, tag="error", kw_only=True):
    """An error after the headers."""

    code: str | None
    message: str
    param: str | None = None
