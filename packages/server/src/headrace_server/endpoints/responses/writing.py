"""From the chunks of a chat to the items of a response, with an event for each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from headrace import StopReason
from headrace_server.generation.chats import UNREAD
from headrace_server.wire import response_events as events
from headrace_server.wire.chat import TokenLogprob
from headrace_server.wire.responses import (
    FunctionCall,
    InputDetails,
    Item,
    Message,
    OutputDetails,
    OutputText,
    Reasoning,
    ReasoningText,
    Response,
    Usage,
    new_id,
)

if TYPE_CHECKING:
    from headrace import ChatChunk, ChatCompletion
    from headrace.results.chat import ToolCallDelta
    from headrace_server.errors import ApiError

_CUT = (StopReason.MAX_TOKENS, StopReason.CONTEXT_FULL)


class Writing:
    """A response that is being written.

    At most one of its items is open: thoughts, then a message, then calls one after the other.

    Args:
        response: What it is written into.
        emit: Takes each event; it looks at it at once, because the response changes.
    """

    def __init__(self, response: Response, emit: Callable[[events.Event], None]) -> None:
        self.response = response
        self._take_event = emit
        self._count = 0
        self._open: Item | None = None
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._call: int | None = None

    # -- the steps ----------------------------------------------------------

    def begin(self) -> None:
        """Tell that it begins."""
        self._emit(events.Created(response=self.response))
        self._emit(events.InProgress(response=self.response))

    def add(self, chunk: ChatChunk, logprobs: Sequence[TokenLogprob] = ()) -> None:
        """Take a piece of the answer.

        Args:
            chunk: The piece.
            logprobs: Of the tokens of its content.
        """
        if chunk.reasoning:
            self._add_reasoning(chunk.reasoning)
        if chunk.content or logprobs:
            self._add_text(chunk.content, logprobs)
        for delta in chunk.tool_calls:
            self._add_call(delta)

    def finish(self, done: ChatCompletion, reasoning_tokens: int) -> None:
        """Tell the end.

        Args:
            done: The whole answer.
            reasoning_tokens: How many of its tokens were thoughts.
        """
        cut = done.stop_reason in _CUT
        if done.unread:
            self._note_unread()
        self._close("incomplete" if cut else "completed")
        usage = done.usage
        self.response.usage = Usage(
            input_tokens=usage.prompt_tokens,
            input_tokens_details=InputDetails(cached_tokens=usage.cached_tokens),
            output_tokens=usage.completion_tokens,
            output_tokens_details=OutputDetails(reasoning_tokens=reasoning_tokens),
            total_tokens=usage.total_tokens,
        )
        if cut:
            # The interface has no word for a full context; there, too, no more tokens fit.
            self.response.incomplete_details = {"reason": "max_output_tokens"}
            self.response.status = "incomplete"
            self._emit(events.Incomplete(response=self.response))
        else:
            self.response.status = "completed"
            self.response.completed_at = int(time.time())
            self._emit(events.Completed(response=self.response))

    def fail(self, error: ApiError) -> None:
        """Tell an error; what was written stands in the response."""
        self._close("incomplete")
        self._emit(events.ErrorEvent(code=error.code, message=error.message, param=error.param))
        # The interface lists the codes that may stand in a response; the event has ours.
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        if 400 <= error.status < 500 and error.status != 429:
            code = "invalid_prompt"
        self.response.error = {"code": code, "message": error.message}
        self.response.status = "failed"
        self._emit(events.Failed(response=self.response))

    # -- items --------------------------------------------------------------

    def _add_reasoning(self, text: str) -> None:
        if not isinstance(self._open, Reasoning):
            self._add_item(Reasoning(id=new_id("rs")))
            self._add_part(ReasoningText())
        self._texts.append(text)
        self._emit(events.ReasoningDelta(**self._place, delta=text))

    def _add_text(self, text: str, logprobs: Sequence[TokenLogprob]) -> None:
        if not isinstance(self._open, Message):
            self._add_item(Message(id=new_id("msg")))
            self._add_part(OutputText())
        self._texts.append(text)
        self._logprobs.extend(logprobs)
        self._emit(events.TextDelta(**self._place, delta=text, logprobs=logprobs))

    def _add_call(self, delta: ToolCallDelta) -> None:
        if self._call != delta.index:
            call_id = delta.id or new_id("call")
            self._add_item(FunctionCall(id=new_id("fc"), call_id=call_id, name=delta.name))
            self._call = delta.index
        if delta.arguments:
            self._texts.append(delta.arguments)
            self._emit(events.ArgumentsDelta(**self._place, delta=delta.arguments))

    def _add_item(self, item: Item) -> None:
        self._close("completed")
        self._open = item
        self._texts, self._logprobs, self._call = [], [], None
        self.response.output.append(item)
        self._emit(events.ItemAdded(output_index=len(self.response.output) - 1, item=item))

    def _add_part(self, part: OutputText | ReasoningText) -> None:
        self._emit(events.PartAdded(**self._place, part=part))

    def _close(self, status: str) -> None:
        """The open item is whole, or as whole as it will be."""
        item, text = self._open, "".join(self._texts)
        if item is None:
            return
        if isinstance(item, FunctionCall):
            item.arguments = text
            self._emit(events.ArgumentsDone(**self._place, name=item.name, arguments=text))
        elif isinstance(item, Reasoning):
            thoughts = ReasoningText(text=text)
            item.content = [thoughts]
            self._emit(events.ReasoningDone(**self._place, text=text))
            self._emit(events.PartDone(**self._place, part=thoughts))
        else:
            part = OutputText(text=text, logprobs=self._logprobs)
            item.content = [part]
            self._emit(events.TextDone(**self._place, text=text, logprobs=self._logprobs))
            self._emit(events.PartDone(**self._place, part=part))
        item.status = status
        self._emit(events.ItemDone(output_index=len(self.response.output) - 1, item=item))
        self._open = None

    def _note_unread(self) -> None:
        for item in self.response.output:
            if isinstance(item, Message):
                item.unread, item.note = True, UNREAD

    @property
    def _place(self) -> dict[str, Any]:
        assert self._open is not None, "an item is open"
        return {"item_id": self._open.id, "output_index": len(self.response.output) - 1}

    def _emit(self, event: events.Event) -> None:
        event.sequence_number = self._count
        self._count += 1
        self._take_event(event)
