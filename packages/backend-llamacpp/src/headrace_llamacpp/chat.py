"""Chat templates and the parsers of their answers, by llama.cpp's libllama-common.

Requests and results cross the boundary as JSON; the shim says what of it is
native. A template is compiled once for a model and kept.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

from headrace.errors import ChatParseError, TemplateError, UnsupportedError
from headrace.grammar import Gbnf, Lazy, Trigger
from headrace.protocols import ChatRequest, RenderedChat, WholeTextParser
from headrace.results.chat import ChatChunk, ChatMessage, ToolCall
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.callbacks import interruptible
from headrace_llamacpp.failures import check, error_of
from headrace_llamacpp.handles import Handle

_KEPT = 8
"""Compiled templates of callers that a model keeps."""


class LlamaTemplates:
    """The chat templates of a loaded model; usable from any thread until the model is closed.

    Args:
        handle: The owner of the model's ``hr_model *``.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._compiled: dict[str | None, Handle] = {}
        self._lock = threading.Lock()

    def render(self, request: ChatRequest) -> RenderedChat:
        """Render a conversation; see ``ChatFormatter``."""
        data = json.dumps(_as_json(request)).encode()
        template = self._template(request.template)
        parser = LlamaChatParser()
        report = new_report()
        try:
            text = _filled(
                lambda out, *asked: lib.hr_chat_render(
                    template.pointer, data, len(data), parser.pointer, out, *asked, report
                )
            )
        finally:
            if report.status not in (lib.HR_OK, lib.HR_RENDER_FAILED):
                self._forget(request.template, template)
        check(report, Operation.RENDER)
        rendered = _rendered(json.loads(text), parser)
        _check_kept_to(request, rendered)
        if rendered.grammar is None and not request.tools:
            parser.look_for(rendered.spoken)
        return rendered

    def _template(self, source: str | None) -> Handle:
        """The compiled template, by its source; the model's own for None."""
        with self._lock:
            found = self._compiled.pop(source, None)
            if found is None:
                found = self._compile(source)
            self._compiled[source] = found  # the last one used is the last one to go
            if len(self._compiled) > _KEPT:
                del self._compiled[next(iter(self._compiled))]
        return found

    def _forget(self, source: str | None, template: Handle) -> None:
        """Have the template compiled anew: it may have been left in the middle."""
        with self._lock:
            if self._compiled.get(source) is template:
                del self._compiled[source]

    def _compile(self, source: str | None) -> Handle:
        template = Handle(lib.hr_chat_delete, lib.hr_chat_new())
        data = ffi.NULL if source is None else source.encode()
        report = new_report()
        size = 0 if source is None else len(data)
        interruptible(
            lambda *asked: lib.hr_chat_compile(
                template.pointer, self._handle.pointer, data, size, *asked, report
            )
        )
        if report.status == lib.HR_NO_TEMPLATE:
            raise error_of(
                report,
                Operation.RENDER,
                message="the model has no chat template",
                hint="Give the source of one: template=….",
            )
        check(report, Operation.RENDER)
        return template


class LlamaChatParser(Handle, WholeTextParser):
    """Reads the answer to one rendered conversation; ``hr_chat_render`` sets it up.

    llama.cpp begins anew for every reading. Where the format has nothing but text, none is needed
    to say what more text adds.
    """

    def __init__(self) -> None:
        Handle.__init__(self, lib.hr_chat_parser_delete, lib.hr_chat_parser_new())
        WholeTextParser.__init__(self)
        self._report = new_report()
        self._plain = False

    def look_for(self, markers: tuple[str, ...]) -> None:
        """See whether these, all that may mean something in the format, are only text to it."""
        with contextlib.suppress(ChatParseError):
            self._plain = all(
                self.parse(text, partial=partial).content == text
                for text in _arranged(markers)
                for partial in (True, False)
            )

    def feed(self, text: str) -> ChatChunk | None:
        """What more text adds to the message; see the protocol."""
        return ChatChunk(text) if self._plain else super().feed(text)

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """What the model wrote, as a message; see the protocol.

        Raises:
            ChatParseError: If it is not in the template's format.
        """
        data = text.encode()
        message = _filled(
            lambda out, *asked: lib.hr_chat_parse(
                self.pointer, data, len(data), partial, out, *asked, self._report
            )
        )
        if self._report.status != lib.HR_OK:
            error = error_of(self._report, Operation.READ)
            if isinstance(error, ChatParseError):
                error.text = text
            raise error
        return _message(json.loads(message))


def _arranged(markers: tuple[str, ...]) -> list[str]:
    """Texts that begin with each of the markers, and go on with all of them."""
    return [f"{first} a\n {' b '.join(markers)} c \n" for first in ("", *markers)]


def _filled(call: Callable[..., int]) -> bytes:
    """What a call of the shim writes into an ``hr_chat_text``; nothing if it failed."""
    out = ffi.new("hr_chat_text *")
    try:
        interruptible(lambda *asked: call(out, *asked))
        return bytes(ffi.buffer(out.bytes, out.n_bytes)) if out.n_bytes else b""
    finally:
        lib.hr_chat_text_free(out)


def _as_json(request: ChatRequest) -> dict[str, Any]:
    return {
        "messages": [message.as_dict() for message in request.messages],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in request.tools
        ],
        "tool_choice": request.tool_choice,
        "parallel_tool_calls": request.parallel_tool_calls,
        "json_schema": request.json_schema or "",
        "enable_thinking": request.thinking,
        "template_args": dict(request.template_args),
    }


def _rendered(found: dict[str, Any], parser: LlamaChatParser) -> RenderedChat:
    prompt = found["prompt"]
    if not prompt:
        raise TemplateError(
            "the chat template renders this conversation as an empty text", backend="llamacpp"
        )
    return RenderedChat(
        prompt=prompt,
        parser=parser,
        grammar=_grammar(found),
        stops=tuple(found["stops"]),
        spoken=tuple(found["preserved_tokens"]),
    )


def _check_kept_to(request: ChatRequest, rendered: RenderedChat) -> None:
    """Refuse what the model would only be asked for, and not kept to."""
    asked = "tool_choice='required'" if request.tool_choice == "required" else ""
    if request.json_schema is not None:
        asked = "a response_format"
    if asked and not isinstance(rendered.grammar, Gbnf):
        raise UnsupportedError(
            f"llama.cpp makes no grammar for {asked} from this chat template",
            hint="Give another template, or constrain the answer with SamplingParams.grammar.",
            backend="llamacpp",
        )


def _grammar(found: dict[str, Any]) -> Gbnf | Lazy | None:
    """What keeps the answer in the template's format, if anything has to."""
    if not found["grammar"]:
        return None
    lazy = found["lazy"]
    grammar = Gbnf(
        found["grammar"],
        # A call may begin with a token of its own, which the parser is shown as text.
        special_tokens=bool(found["preserved_tokens"]),
        begun="" if lazy else found["generation_prompt"],
        loose=True,
    )
    if not lazy:
        return grammar
    return Lazy(
        grammar, tuple(Trigger(**{each["kind"]: each["value"]}) for each in found["triggers"])
    )


def _message(found: dict[str, Any]) -> ChatMessage:
    return ChatMessage(
        role="assistant",
        content=found["content"],
        reasoning=found["reasoning"],
        tool_calls=tuple(
            ToolCall(id=call["id"], name=call["name"], arguments=call["arguments"])
            for call in found["tool_calls"]
        ),
    )
