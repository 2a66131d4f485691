"""What a chat template shows of tools, of earlier calls and of their results.

Many templates know nothing of tools, and pass over them in silence: the model is then never told
of a tool, and answers as if there were none. So each template is looked at once: it renders a
conversation with names that stand nowhere else, and what is missing in the rendering is what it
leaves out. A template's variables may change that, so it is looked at for each of their values.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import attrs

from headrace.errors import TemplateError, UnsupportedError
from headrace.requests.chat import ChatRequest
from headrace.results.chat import ChatMessage, Tool, ToolCall

_NAME, _CALLED, _RESULT = "hr_look_for_me", "hr_look_for_this", "hr_look_for_that"
_TOOL = Tool(
    name=_NAME,
    description="Looks.",
    parameters={
        "type": "object",
        "properties": {"word": {"type": "string", "description": "A word."}},
        "required": ["word"],
    },
)
_ASKS = ChatMessage(role="user", content="Look.")
_CALL = ToolCall(id="abcdefghi", name=_NAME, arguments=json.dumps({"word": _CALLED}))
_USED = (
    _ASKS,
    ChatMessage(role="assistant", tool_calls=(_CALL,)),
    ChatMessage(role="tool", tool_call_id="abcdefghi", name=_NAME, content=_RESULT),
)
_KEPT = 32
_HINT = "tools_in_prompt=True has them told as text; or give another template with template=."


class Shown:
    """What the templates of a model show.

    Args:
        render: The prompt of a request.
    """

    def __init__(self, render: Callable[[ChatRequest], str]) -> None:
        self._render = render
        self._looked: dict[tuple[str | None, str, bool, str], bool] = {}

    def check(self, request: ChatRequest) -> None:
        """Raise for what the model would not see.

        Raises:
            UnsupportedError: Naming what the template leaves out.
        """
        if request.tools and request.tool_choice != "none" and not _told_otherwise(request):
            self._need(request, _NAME, "tools", _names(request.tools))
        for index, message in enumerate(request.messages):
            if not all(call.name in message.content for call in message.tool_calls):
                what = f"messages[{index}].tool_calls"
                self._need(request, _CALLED, "the calls of earlier answers", what)
            if message.role == "tool":
                self._need(request, _RESULT, "the results of calls", f"messages[{index}]")

    def _need(self, request: ChatRequest, word: str, what: str, which: str) -> None:
        if not self._shows(request, word):
            raise UnsupportedError(
                f"the chat template leaves out {what}: the model would not see {which}",
                hint=_HINT,
                backend="llamacpp",
            )

    def _shows(self, request: ChatRequest, word: str) -> bool:
        variables = json.dumps(dict(request.template_args), sort_keys=True)
        key = (request.template, variables, bool(request.tools), word)
        found = self._looked.get(key)
        if found is None:
            found = self._look(request, word)
            if len(self._looked) >= _KEPT:
                self._looked.clear()
            self._looked[key] = found
        return found

    def _look(self, request: ChatRequest, word: str) -> bool:
        asked: list[tuple[ChatMessage, ...]] = [(_ASKS,)] if word == _NAME else [_USED]
        if word == _CALLED:
            asked.append(_USED[:2])
        for messages in asked:
            probe = attrs.evolve(
                request,
                messages=messages,
                tools=(_TOOL,) if request.tools else (),
                tool_choice="none",
                json_schema=None,
            )
            try:
                return word in self._render(probe)
            except TemplateError:
                continue
        return True  # it refuses such conversations, and says so itself


def _told_otherwise(request: ChatRequest) -> bool:
    """Whether the caller tells of the tools: in the system message, or in a template's variable."""
    told = json.dumps(dict(request.template_args))
    for message in request.messages:
        if message.role in ("system", "developer"):
            told += message.content
    return all(tool.name in told for tool in request.tools)


def _names(tools: tuple[Tool, ...]) -> str:
    return ", ".join(repr(tool.name) for tool in tools)
