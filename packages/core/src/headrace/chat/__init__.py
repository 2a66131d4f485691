"""Conversations: messages in, messages out.

``types`` has what callers see, ``checking`` turns what they pass into a
``ChatRequest``, ``deltas`` compares one reading of an unfinished answer with the
next, and ``stream`` puts all that over a ``TokenStream``. Rendering a request and
reading an answer is the backend's, see ``headrace.protocols.chat``.
"""

from headrace.chat.types import (
    ChatChunk,
    ChatCompletion,
    ChatMessage,
    Tool,
    ToolCall,
    ToolCallDelta,
)

__all__ = [
    "ChatChunk",
    "ChatCompletion",
    "ChatMessage",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
]
