"""Text is text: what stands for a control token in a message is not read as one.

A template writes control tokens around messages, so a rendering is read with them. Where a message
has the text of one, that text is taken out before the template sees it, with a mark in its place
that nobody wrote. In the rendering the mark says where the text belongs. The stretch around it,
from one control token that the template wrote to the next, is then read as plain text.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import attrs

from headrace.requests.chat import ChatRequest
from headrace.results.chat import ChatMessage, ToolCall

if TYPE_CHECKING:
    from headrace.streams.parser import RenderedChat

_FIRST, _LAST = 0xF0000, 0xFFFFD  # private use: no text of a template, rarely of anybody's
_SOME = "a"


class Tokenizes(Protocol):
    """What a model reads text with."""

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of a text."""
        ...


class ControlTexts:
    """The texts of a vocabulary's control tokens, to be looked for.

    Args:
        texts: All of them.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        known: defaultdict[str, set[str]] = defaultdict(set)
        for text in texts:
            if text:
                known[text[0]].add(text)
        self._known = {
            first: (those, sorted({len(each) for each in those}, reverse=True))
            for first, those in known.items()
        }

    def found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they stand in a text: the longest at each place, none inside of another."""
        for first, start in self._places(text):
            those, lengths = self._known[first]
            for length in lengths:
                piece = text[start : start + length]
                if piece in those:
                    yield start, start + len(piece)
                    break

    def _places(self, text: str) -> Iterator[tuple[str, int]]:
        for first in self._known:
            start = text.find(first)
            while start >= 0:
                yield first, start
                start = text.find(first, start + 1)


def stretches(text: str, controls: ControlTexts) -> list[tuple[int, int]]:
    """Where control tokens stand, in order and apart from each other."""
    kept: list[tuple[int, int]] = []
    for start, stop in sorted(controls.found(text), key=lambda each: (each[0], -each[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, stop))
    return kept


def rendered_as_text(
    request: ChatRequest, controls: ControlTexts, render: Callable[[ChatRequest], RenderedChat]
) -> RenderedChat:
    """A conversation rendered so that no message's text becomes a control token.

    A last message of the assistant's is left as it is: it is gone on with.

    Args:
        request: The conversation.
        controls: What is not to be read as a token.
        render: What a backend makes of a conversation.
    """
    marks = _Marks(request, controls)
    if not marks.texts:
        return render(request)
    rendered = render(marks.request)
    prompt, plain = marks.unmarked(rendered.prompt)
    return attrs.evolve(rendered, prompt=prompt, plain=plain)


def tokens_of(model: Tokenizes, rendered: RenderedChat) -> list[int]:
    """The token ids of a rendering, with what the model expects around a text."""
    if not rendered.plain:
        # The rendering leaves out the BOS that is added here.
        return model.tokenize(rendered.prompt, add_special=True, parse_special=True)
    before, after = _around(model)
    tokens, at = list(before), 0
    for start, stop in (*rendered.plain, (len(rendered.prompt),) * 2):
        for part, special in (
            (rendered.prompt[at:start], True),
            (rendered.prompt[start:stop], False),
        ):
            if part:
                tokens += model.tokenize(part, add_special=False, parse_special=special)
        at = stop
    return [*tokens, *after]


def _around(model: Tokenizes) -> tuple[list[int], list[int]]:
    """The special tokens that are added before and after a text."""
    alone = model.tokenize(_SOME, add_special=False, parse_special=False)
    added = model.tokenize(_SOME, add_special=True, parse_special=False)
    at = next((at for at in range(len(added)) if added[at : at + len(alone)] == alone), len(added))
    return added[:at], added[at + len(alone) :]


class _Marks:
    """A conversation with marks in it, and what they stand for.

    Args:
        request: The conversation as it came.
        controls: What is taken out.
    """

    def __init__(self, request: ChatRequest, controls: ControlTexts) -> None:
        self.texts: list[str] = []
        self._controls = controls
        self._sign = ""
        *before, last = request.messages
        messages = [*before] if last.role == "assistant" else [*before, last]
        self._used = {
            character
            for each in messages
            for text in (
                each.content,
                each.reasoning,
                *(call.arguments for call in each.tool_calls),
            )
            if not text.isascii()
            for character in text
        }
        marked = [self._message(each) for each in messages]
        if last.role == "assistant":
            marked.append(last)
        self.request = attrs.evolve(request, messages=tuple(marked)) if self.texts else request

    def _message(self, message: ChatMessage) -> ChatMessage:
        content, reasoning = self._text(message.content), self._text(message.reasoning)
        calls = tuple(self._call(each) for each in message.tool_calls)
        if (content, reasoning, calls) == (message.content, message.reasoning, message.tool_calls):
            return message
        return attrs.evolve(message, content=content, reasoning=reasoning, tool_calls=calls)

    def _call(self, call: ToolCall) -> ToolCall:
        arguments = self._text(call.arguments)
        return call if arguments == call.arguments else attrs.evolve(call, arguments=arguments)

    def _text(self, text: str) -> str:
        parts, at = [], 0
        for start, stop in stretches(text, self._controls):
            parts += [text[at:start], self._mark(text[start:stop])]
            at = stop
        return "".join([*parts, text[at:]]) if parts else text

    def _mark(self, text: str) -> str:
        """A mark for a text: one character that nobody wrote."""
        if text not in self.texts:
            self.texts.append(text)
        return self._signs[self.texts.index(text)]

    @property
    def _signs(self) -> str:
        if len(self._sign) < len(self.texts):
            free = (chr(code) for code in range(_FIRST, _LAST) if chr(code) not in self._used)
            self._sign = "".join(sign for sign, _ in zip(free, self.texts, strict=False))
        return self._sign

    def unmarked(self, prompt: str) -> tuple[str, tuple[tuple[int, int], ...]]:
        """A rendering with the texts in their places, and what of it is plain text."""
        meant = dict(zip(self._signs, self.texts, strict=True))
        edges = [(0, 0), *stretches(prompt, self._controls), (len(prompt),) * 2]
        # Some templates write a call's arguments as JSON that is ASCII alone.
        in_ascii = [
            (json.dumps(sign)[1:-1], json.dumps(text)[1:-1]) for sign, text in meant.items()
        ]
        out: list[str] = []
        plain: list[tuple[int, int]] = []
        length = 0
        for (start, stop), (following, _) in itertools.pairwise(edges):
            between = shown = prompt[stop:following]
            for escaped, meaning in in_ascii:
                between = between.replace(escaped, meaning)
            text = "".join(meant.get(character, character) for character in between)
            out += [prompt[start:stop], text]
            length += stop - start
            if text != shown:
                plain.append((length, length + len(text)))
            length += len(text)
        return "".join(out), tuple(plain)
