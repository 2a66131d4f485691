"""Answers that have begun: a conversation whose last message is the assistant's is gone on with.

The prompt is that of the conversation without this message, and ends with its text. Formats differ
in what stands before an answer's text: nothing, a channel's name, thoughts that have to be ended.
That is looked up in how the template shows a finished answer, or tried with the control tokens of
the format, and is right if the format's own parser reads the text as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import attrs

from headrace.errors import ChatParseError, ParamsError, TemplateError, UnsupportedError
from headrace.grammar import Lazy
from headrace.requests.chat import ChatRequest
from headrace.results.chat import ChatMessage
from headrace.streams.parser import ChatParser, RenderedChat, WholeTextParser

Render = Callable[[ChatRequest], RenderedChat]

_OPEN = re.compile(r"[<\[][^</\[\]>]*think[^</\[\]>]*[>\]]$", re.IGNORECASE)
"""A tag that begins thoughts, at the end of a prompt."""
_END = re.compile(r"/|end|close", re.IGNORECASE)
_MARK = "hr-look-for-me"
_MORE = "hr"


def continued(request: ChatRequest, render: Render) -> RenderedChat:
    """A request rendered, by a backend that renders whole messages.

    Args:
        request: The conversation; whatever its last message is.
        render: What a backend makes of one that asks for a new answer.

    Raises:
        ParamsError: If the last message is one that cannot be gone on with.
        UnsupportedError: If the template's format has no place for it.
    """
    *before, last = request.messages
    if last.role != "assistant":
        return render(request)
    where = f"messages[{len(before)}]"
    if last.tool_calls:
        raise ParamsError(
            f"{where}.tool_calls must be empty in a last message: it is gone on with",
            hint="Put the results of the calls behind it, as messages of the role 'tool'.",
        )
    if not before:
        raise ParamsError(
            "messages must have one before that of the assistant, which is gone on with",
            hint="Put a message of the user before it.",
        )
    asked = attrs.evolve(request, messages=tuple(before))
    if not (last.content or last.reasoning):
        return render(asked)
    # Where a format has no place for thoughts before a text, they are left out, as those of
    # earlier answers are.
    alone = attrs.evolve(last, reasoning="") if last.content else last
    for begun in dict.fromkeys((last, alone)):
        for rendered, lead in _tries(asked, begun, render):
            if _reads(rendered, lead, begun):
                return _begun(rendered, lead + (begun.content or begun.reasoning), begun)
    what = "content" if last.content else "reasoning"
    raise UnsupportedError(
        f"the format of the chat template has no place where {where}.{what} could be gone on with",
        hint="Leave the message out, or ask the user's way for an answer that begins so.",
    )


def _begun(rendered: RenderedChat, text: str, last: ChatMessage) -> RenderedChat:
    if rendered.grammar is not None and not isinstance(rendered.grammar, Lazy):
        raise UnsupportedError(
            "an answer that has begun is not kept to a response_format or a required call",
            hint="Leave out the last message, or the response_format or tool_choice.",
        )
    return attrs.evolve(
        rendered,
        prompt=rendered.prompt + text,
        parser=ContinuedParser(rendered.parser, text, last),
    )


def _tries(
    asked: ChatRequest, last: ChatMessage, render: Render
) -> Iterator[tuple[RenderedChat, str]]:
    """Renderings, and what may stand between their ends and the text that is gone on with."""
    rendered = render(asked)
    ends = sorted(rendered.spoken, key=lambda token: _END.search(token) is None)
    if not last.content:
        yield rendered, ""
        if not _OPEN.search(rendered.prompt.rstrip()):
            yield from ((rendered, f"{begin}\n") for begin in reversed(ends))
        return
    thoughts = last.reasoning
    follows, lead = _as_shown(asked, rendered, render)
    if not thoughts:
        yield from ((rendered, each) for each in ([lead] if follows else []))
        yield rendered, ""
        if asked.thinking:
            yield render(attrs.evolve(asked, thinking=False)), ""
    in_lines = rendered.prompt.endswith("\n")
    for end in ends:
        forms = (f"{thoughts}\n{end}\n\n{lead}", f"{thoughts}{end}{lead}")
        yield from ((rendered, form) for form in (forms if in_lines else reversed(forms)))
    if _OPEN.search(rendered.prompt.rstrip()):
        return
    for begin in reversed(ends):
        yield from ((rendered, f"{begin}\n{thoughts}\n{end}\n\n") for end in ends)


def _as_shown(asked: ChatRequest, rendered: RenderedChat, render: Render) -> tuple[bool, str]:
    """What stands before the text of a finished answer, and whether all of the prompt does."""
    answer = ChatMessage(role="assistant", content=_MARK)
    after = ChatMessage(role="user", content="Go on.")
    try:
        shown = render(attrs.evolve(asked, messages=(*asked.messages, answer, after))).prompt
    except (TemplateError, UnsupportedError):
        return False, ""
    before = shown.partition(_MARK)[0]
    pairs = enumerate(zip(before, rendered.prompt, strict=False))
    shorter = min(len(before), len(rendered.prompt))
    common = next((at for at, (one, other) in pairs if one != other), shorter)
    lead = before[common:] if _MARK in shown else ""
    return common == len(rendered.prompt), lead


def _reads(rendered: RenderedChat, lead: str, last: ChatMessage) -> bool:
    """Whether a parser reads the text, and what follows it, as that part of the message."""
    text = last.content or last.reasoning
    if last.content and _OPEN.search(f"{rendered.prompt}{lead}".rstrip()):
        return False  # a parser that knows of no thoughts would take them for text
    try:
        found = rendered.parser.parse(f"{lead}{text}{_MORE}", partial=True)
    except ChatParseError:
        return False
    if found.tool_calls or found.unread:
        return False
    if not last.content:
        return found.reasoning.strip() == f"{text}{_MORE}".strip() and not found.content
    thoughts = found.reasoning.strip() == last.reasoning.strip()
    return found.content.strip() == f"{text}{_MORE}".strip() and thoughts


class ContinuedParser(WholeTextParser):
    """Reads what was added to an answer that had begun.

    Args:
        parser: Of the format.
        text: What stands behind the prompt already.
        begun: The message that it is.
    """

    def __init__(self, parser: ChatParser, text: str, begun: ChatMessage) -> None:
        super().__init__()
        self._inner = parser
        self._before = text
        self._begun = begun

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``: without what was there already."""
        message = self._inner.parse(self._before + text, partial=partial)
        return attrs.evolve(
            message,
            content=self._content(message.content),
            reasoning=self._thoughts(message.reasoning),
        )

    def _content(self, content: str) -> str:
        return self._added(content, self._begun.content) if self._begun.content else content

    def _thoughts(self, reasoning: str) -> str:
        """None beside a text that had begun: they were at their end."""
        if self._begun.content:
            return ""
        return self._added(reasoning, self._begun.reasoning)

    def _added(self, whole: str, begun: str) -> str:
        before, found, rest = whole.partition(begun.strip())
        if before.strip() or not found:
            if begun.strip().startswith(whole.strip()):
                return ""  # its end is held back: it may be the beginning of something else
            raise ChatParseError("the answer reads differently from how it began", text=whole)
        ending = begun[len(begun.rstrip()) :]
        if rest.startswith(ending):
            return rest[len(ending) :]
        return rest.lstrip()
