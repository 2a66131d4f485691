"""From the chunks of a chat to the blocks of a message, with an event for each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from headrace import StopReason
from headrace.errors import ChatParseError
from headrace_server.generation.chats import UNREAD
from headrace_server.wire import messages as wire

if TYPE_CHECKING:
    from headrace import ChatChunk, ChatCompletion
    from headrace.results.chat import ToolCallDelta

_REASONS = {
    StopReason.MAX_TOKENS: "max_tokens",
    StopReason.CONTEXT_FULL: "model_context_window_exceeded",
}

_CUT = "this is the input of a call that was cut short; it is no JSON object"


class Writing:
    """A message that is being written.

    At most one of its blocks is open: thoughts, then text, then calls one after the other.

    Args:
        message: What it is written into.
        stops: The stop strings of the request.
        emit: Takes each event; it looks at it at once, because the message changes.
    """

    def __init__(
        self,
        message: wire.Message,
        stops: Sequence[str],
        emit: Callable[[wire.Event], None],
    ) -> None:
        self.message = message
        self._stops = stops
        self._emit = emit
        self._open: wire.Block | None = None
        self._texts: list[str] = []
        self._call: int | None = None

    # -- the steps ----------------------------------------------------------

    def begin(self) -> None:
        """Tell that it begins."""
        self._emit(wire.MessageStart(message=self.message))
        self._emit(wire.Ping())

    def add(self, chunk: ChatChunk) -> None:
        """Take a piece of the answer."""
        if chunk.reasoning:
            if not isinstance(self._open, wire.Thought):
                self._start(wire.Thought())
            self._more(chunk.reasoning, wire.ThinkingDelta(thinking=chunk.reasoning))
        if chunk.content:
            if not isinstance(self._open, wire.Text):
                self._start(wire.Text())
            self._more(chunk.content, wire.TextDelta(text=chunk.content))
        for delta in chunk.tool_calls:
            self._add_call(delta)

    def finish(self, done: ChatCompletion, thinking_tokens: int) -> None:
        """Tell the end.

        Args:
            done: The whole answer.
            thinking_tokens: How many of its tokens were thoughts.
        """
        self._stop()
        self._put_in(done)
        message, usage = self.message, done.usage
        message.stop_reason, message.stop_sequence = self._reason(done)
        message.usage = wire.Usage(
            input_tokens=usage.prompt_tokens - usage.cached_tokens,
            cache_read_input_tokens=usage.cached_tokens,
            output_tokens=usage.completion_tokens,
            output_tokens_details=wire.OutputDetails(thinking_tokens=thinking_tokens),
        )
        self._emit(
            wire.MessageDelta(
                delta=wire.End(
                    stop_reason=message.stop_reason, stop_sequence=message.stop_sequence
                ),
                usage=message.usage,
                unread=done.unread or msgspec.UNSET,
                note=UNREAD if done.unread else msgspec.UNSET,
            )
        )
        self._emit(wire.MessageStop())

    def _reason(self, done: ChatCompletion) -> tuple[str, str | None]:
        """Why the answer has ended, and the stop string if it was one of the request's."""
        if done.stop_reason in _REASONS:
            return _REASONS[done.stop_reason], None
        if done.stop_reason is StopReason.STOP_STRING and done.stop_string in self._stops:
            return "stop_sequence", done.stop_string
        return ("tool_use" if done.message.tool_calls else "end_turn"), None

    # -- blocks -------------------------------------------------------------

    def _add_call(self, delta: ToolCallDelta) -> None:
        if self._call != delta.index:
            self._start(wire.ToolUse(id=delta.id, name=delta.name))
            self._call = delta.index
        if delta.arguments:
            self._more(delta.arguments, wire.InputJsonDelta(partial_json=delta.arguments))

    def _start(self, block: wire.Block) -> None:
        self._stop()
        self._open, self._texts, self._call = block, [], None
        self.message.content.append(block)
        self._emit(wire.BlockStart(index=self._index, content_block=block))

    def _more(self, text: str, delta: wire.Delta) -> None:
        self._texts.append(text)
        self._emit(wire.BlockDelta(index=self._index, delta=delta))

    def _stop(self) -> None:
        block, text = self._open, "".join(self._texts)
        if block is None:
            return
        if isinstance(block, wire.Thought):
            block.thinking = text
            self._emit(wire.BlockDelta(index=self._index, delta=wire.SignatureDelta()))
        elif isinstance(block, wire.Text):
            block.text = text
        self._emit(wire.BlockStop(index=self._index))
        self._open = None

    def _put_in(self, done: ChatCompletion) -> None:
        """What is known at the end alone: the inputs of calls, and what could not be read."""
        calls = iter(done.message.tool_calls)
        for at, block in enumerate(self.message.content):
            if isinstance(block, wire.ToolUse):
                call = next(calls)
                try:
                    block.input = call.parsed()
                except ChatParseError:  # cut short, or none: nobody may run it
                    self.message.content[at] = wire.Text(
                        text=call.arguments, unread=True, note=_CUT
                    )
            elif isinstance(block, wire.Text) and done.unread:
                block.unread, block.note = True, UNREAD

    @property
    def _index(self) -> int:
        return len(self.message.content) - 1
