"""Chat templates and the parsers of their answers, by llama.cpp's libllama-common.

Requests and results cross the boundary as JSON; the shim says what of it is
native. A template is compiled once for a model and kept.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from headrace.errors import (
    ChatParseError,
    GrammarError,
    HeadraceError,
    TemplateError,
    UnsupportedError,
)
from headrace.grammar import Gbnf, JsonSchema, Lazy, Trigger
from headrace.protocols import ChatRequest, RenderedChat, WholeTextParser
from headrace.results.chat import ChatChunk, ChatMessage, ToolCall
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.answers import Forms, keeping
from headrace_llamacpp.callbacks import interruptible
from headrace_llamacpp.exact_numbers import ExactNumbers
from headrace_llamacpp.failures import check, error_of
from headrace_llamacpp.handles import Handle
from headrace_llamacpp.schemas import ANY_OBJECT, simplified
from headrace_llamacpp.shown import Shown
from headrace_llamacpp.template_source import OwnTemplates, mended
from headrace_llamacpp.unread import with_unread
from headrace_llamacpp.vocabulary import LlamaVocabulary

_KEPT = 8
"""Compiled templates of callers that a model keeps."""
_ANY_NAME = re.compile(r"(?<=^gemma4-dict-key-name ::= )\[\^:}\]\+$", re.MULTILINE)
_PLAIN_NAME = "[^:}<]+"
"""What Gemma's format lets a name be, but for the sign that strings begin with: where one is told
apart from the other by single characters, most masks take 8 ms."""
_ODD_NAME = re.compile(r'<[^"]*"\s*:')
"""A name in JSON that has the sign; it may be found where there is none."""
_LIMITS = (1000, 50, 0)
"""Largest lengths that a grammar is made of, one after the other until it is not too large."""


class LlamaTemplates:
    """The chat templates of a loaded model; usable from any thread until the model is closed.

    Args:
        handle: The owner of the model's ``hr_model *``.
        own: The templates of the model's file.
        vocabulary: The model's.
    """

    def __init__(self, handle: Handle, own: OwnTemplates, vocabulary: LlamaVocabulary) -> None:
        self._handle = handle
        self._own = own
        self._vocabulary = vocabulary
        self._compiled: dict[str | None, Handle] = {}
        self._shown = Shown(lambda request: self._rendered(request).prompt)
        self._forms = Forms(lambda request: self._rendered(request).prompt)
        self._lock = threading.Lock()

    def render(self, request: ChatRequest) -> RenderedChat:
        """Render a conversation; see ``ChatFormatter``."""
        calls = bool(request.tools) and request.tool_choice != "none"
        if calls and request.json_schema is not None:
            raise UnsupportedError(
                "llama.cpp keeps an answer either to calls of tools or to a response_format",
                hint="Leave out one of them, or pass tool_choice='none' beside the "
                "response_format.",
                backend="llamacpp",
            )
        self._shown.check(request)
        if request.json_schema is not None:
            return self._formatted(request)
        rendered = self._constrained(request) if calls else self._rendered(request)
        if request.tool_choice == "required" and not isinstance(rendered.grammar, Gbnf):
            raise _no_grammar("tool_choice='required'")
        return rendered

    def _formatted(self, request: ChatRequest) -> RenderedChat:
        """With a grammar for the schema of the answer: the core's, in the template's format."""
        assert request.json_schema is not None
        schema = _grammar_of(request.json_schema)
        plain = self._rendered(attrs.evolve(request, json_schema=None))
        if isinstance(plain.parser, LlamaChatParser) and plain.parser.is_plain:
            return attrs.evolve(plain, grammar=schema)
        forms = self._forms.of(request, plain.parser, plain.spoken)
        if not forms:
            raise _no_grammar("a response_format")
        grammar = keeping(forms, schema, plain.spoken, self._vocabulary.control_token)
        return attrs.evolve(plain, grammar=grammar)

    def _constrained(self, request: ChatRequest) -> RenderedChat:
        """With a grammar of llama.cpp's, which has to be made of simpler schemas than some are.

        What the model is shown are the schemas as they were given.
        """
        refused: HeadraceError | None = None
        for limit in (*_LIMITS, None):
            simple = _simplified(request, limit)
            try:
                rendered = self._rendered(simple)
                if simple.tools != request.tools:
                    shown = self._rendered(attrs.evolve(request, tool_choice="none"))
                    rendered = attrs.evolve(rendered, prompt=shown.prompt)
            except (GrammarError, TemplateError) as error:
                refused = refused or error
                continue
            return rendered
        assert refused is not None
        raise self._blamed(request, refused)

    def _blamed(self, request: ChatRequest, error: HeadraceError) -> HeadraceError:
        """The error of a template that cannot show a tool, which is named in it."""
        for tool in request.tools:
            alone = attrs.evolve(request, tools=(tool,), tool_choice="none")
            try:
                self._rendered(attrs.evolve(alone, tools=()))
            except TemplateError:
                return error
            try:
                self._rendered(alone)
            except TemplateError as failure:
                return TemplateError(
                    f"the chat template cannot show the tool {tool.name!r}: {failure.message}",
                    hint="Many templates want a 'type', which is one text, in each schema; "
                    "tools_in_prompt=True shows the tool without the template.",
                    backend="llamacpp",
                )
        return error

    def _rendered(self, request: ChatRequest) -> RenderedChat:
        """A conversation rendered by llama.cpp, with what it makes of the request."""
        told = _as_json(request)
        parser = LlamaChatParser()
        rendered = self._told(request, json.dumps(told), parser)
        exact = ExactNumbers(told)
        if exact:
            with contextlib.suppress(TemplateError):  # of a template that wants fractions
                shown = self._told(request, exact.text, LlamaChatParser())
                rendered = attrs.evolve(rendered, prompt=exact.put_back(shown.prompt))
        if isinstance(rendered.grammar, Lazy):
            parser.marks = _marks(rendered.grammar.triggers)
        if rendered.grammar is None and not (request.tools and request.tool_choice != "none"):
            parser.look_for(rendered.spoken)
        return rendered

    def _told(self, request: ChatRequest, told: str, parser: LlamaChatParser) -> RenderedChat:
        """What the shim makes of a request in JSON."""
        data = told.encode()
        source = request.template
        if source is None:
            source = self._own.source(with_tools=bool(request.tools))
        template = self._template(source)
        report = new_report()
        try:
            text = _filled(
                lambda out, *asked: lib.hr_chat_render(
                    template.pointer, data, len(data), parser.pointer, out, *asked, report
                )
            )
        finally:
            if report.status not in (lib.HR_OK, lib.HR_RENDER_FAILED):
                self._forget(source, template)
        check(report, Operation.RENDER)
        found = json.loads(text)
        if not _ODD_NAME.search(told):
            found["grammar"] = _ANY_NAME.sub(_PLAIN_NAME, found["grammar"])
        return _rendered(found, parser)

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
        data = ffi.NULL if source is None else mended(source).encode()
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
        self.is_plain = False
        """Whether the format has nothing but text."""
        self.marks: tuple[str, ...] = ()
        """What calls begin with, where there are tools."""

    def look_for(self, markers: tuple[str, ...]) -> None:
        """See whether these, all that may mean something in the format, are only text to it."""
        with contextlib.suppress(ChatParseError):
            self.is_plain = all(
                self.parse(text, partial=partial).content == text
                for text in _arranged(markers)
                for partial in (True, False)
            )

    def feed(self, text: str) -> ChatChunk | None:
        """What more text adds to the message; see the protocol."""
        return ChatChunk(text) if self.is_plain else super().feed(text)

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """What the model wrote, as a message; see the protocol.

        Raises:
            ChatParseError: If it is not in the template's format.
        """
        if partial or not self.marks:
            return self._parse(text, partial=partial)
        return with_unread(text, self.marks, functools.partial(self._parse, partial=False))

    def _parse(self, text: str, *, partial: bool) -> ChatMessage:
        """What llama.cpp makes of it."""
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
        "json_schema": "",  # a grammar of the core keeps to it
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


def _marks(triggers: tuple[Trigger, ...]) -> tuple[str, ...]:
    """What calls begin with, without white space, which models leave out."""
    words = (trigger.word.strip() for trigger in triggers if trigger.word is not None)
    return tuple(word for word in words if len(word) > 1)


def _no_grammar(asked: str) -> UnsupportedError:
    """What the model would only be asked for, and not kept to, is refused."""
    return UnsupportedError(
        f"no grammar can be made for {asked} from this chat template",
        hint="Give another template, or constrain the answer with SamplingParams.grammar.",
        backend="llamacpp",
    )


def _grammar_of(schema: str) -> JsonSchema:
    """The strictest one that there is for a schema."""
    try:
        return JsonSchema(schema)
    except GrammarError:
        return JsonSchema(schema, strict=False)


def _simplified(request: ChatRequest, limit: int | None) -> ChatRequest:
    """A request whose schemas llama.cpp makes a grammar of; None: of their outermost type."""

    def simple(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        return ANY_OBJECT if limit is None else simplified(schema, limit)

    tools = tuple(attrs.evolve(tool, parameters=simple(tool.parameters)) for tool in request.tools)
    return attrs.evolve(request, tools=tools)


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
