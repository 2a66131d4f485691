"""Answers that keep to a schema, in formats that have more than text: thoughts, names of channels.

What may stand before an answer's text is looked up in how the template shows a finished answer, or
tried with the control tokens of the format. It is right if the format's own parser reads thoughts
as thoughts, and what follows them as the content: so the content is what the schema holds.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from headrace.errors import ChatParseError, TemplateError
from headrace.grammar import JsonSchema, Lark
from headrace.requests.chat import ChatRequest
from headrace.results.chat import ChatMessage
from headrace.streams.parser import ChatParser

_THOUGHT, _MARK = "hr-look-at-this", '{"hr-look-at-that": 1}'
_ASKS = ChatMessage(role="user", content="Look.")
_BROKEN = re.compile(r"[<\[][^<>\[\]]*$")
"""A token of which only the beginning is there."""
_END = re.compile(r"/|end|close", re.IGNORECASE)
_CHANNELS = (
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    ("<|channel>thought\n", "<channel|>"),
)
"""What stands around thoughts in formats that name channels, and show no earlier thoughts."""
_BREAKS = "\n\n"
"""What most models write between their thoughts and the answer."""
_KEPT = 32


@attrs.frozen
class Form:
    """What stands before the answer's text."""

    begin: str
    """Before thoughts; or before the text, where there are none."""

    end: str | None = None
    """Behind thoughts; None: no thoughts."""

    breaks: bool = False
    """Whether line breaks may follow."""


class Forms:
    """The forms of answers in the templates of a model.

    Args:
        render: The prompt of a request.
    """

    def __init__(self, render: Callable[[ChatRequest], str]) -> None:
        self._render = render
        self._leads: dict[tuple[str | None, str, bool, bool], tuple[Form, ...]] = {}

    def of(
        self, request: ChatRequest, parser: ChatParser, spoken: tuple[str, ...]
    ) -> tuple[Form, ...]:
        """The forms that a parser reads; none if it reads none.

        Thoughts come first where the prompt has begun them. Elsewhere they may, unless the
        request is not to think.

        Args:
            request: What was rendered.
            parser: Of the answer.
            spoken: The control tokens of the format.
        """
        shown = self._leads_of(request)
        ends = sorted(spoken, key=lambda token: _END.search(token) is None)
        lead = next((form.begin for form in shown if form.end is None), "")
        if any(end in lead for end in ends if _END.search(end)):
            lead = ""  # thoughts that were left out
        thoughts = [(form.begin, form.end) for form in shown if form.end is not None]
        closing = [*(end for _, end in thoughts), *_behind(ends, lead)]
        begun = _first(parser, (Form("", end) for end in closing))
        if begun:
            return begun
        direct = _first(parser, map(Form, dict.fromkeys((lead, ""))))
        if direct and not request.thinking:
            return direct
        around = itertools.permutations(reversed(ends), 2)
        tried = ((begin, end) for begin, close in around for end in _behind([close], lead))
        pairs = itertools.chain(thoughts, _CHANNELS, tried)
        return direct + _first(parser, itertools.starmap(Form, pairs))

    def _leads_of(self, request: ChatRequest) -> tuple[Form, ...]:
        """How the template shows finished answers, without thoughts and with them."""
        variables = json.dumps(dict(request.template_args), sort_keys=True)
        key = (request.template, variables, request.thinking, bool(request.tools))
        found = self._leads.get(key)
        if found is None:
            found = tuple(self._shown(request))
            if len(self._leads) >= _KEPT:
                self._leads.clear()
            self._leads[key] = found
        return found

    def _shown(self, request: ChatRequest) -> Iterator[Form]:
        """What stands between the end of a prompt and a finished answer's text."""
        asked = attrs.evolve(request, messages=(_ASKS,), tool_choice="none", json_schema=None)
        for reasoning in ("", _THOUGHT):
            answer = ChatMessage(role="assistant", content=_MARK, reasoning=reasoning)
            whole = attrs.evolve(asked, messages=(_ASKS, answer, _ASKS))
            try:
                prompt, shown = self._render(asked), self._render(whole)
            except TemplateError:
                continue
            same = _common(prompt, shown)
            goes_on = same == prompt
            if not goes_on:
                same = _BROKEN.sub("", same)
            before, found, _ = shown.removeprefix(same).partition(_MARK)
            begin, _, end = before.partition(_THOUGHT)
            if found and not reasoning:
                yield Form("" if prompt.endswith(begin) else begin)
            elif found and end.strip() and goes_on:
                yield Form(begin, end.strip())


def _common(one: str, other: str) -> str:
    """What both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return one[: next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))]


def _behind(ends: Sequence[str], lead: str) -> Iterator[str]:
    """What may stand between thoughts and the text."""
    for end in ends:
        if lead.strip():
            yield end + lead.strip()
        yield end


def _first(parser: ChatParser, forms: Iterable[Form]) -> tuple[Form, ...]:
    """The first of some forms that is read as what it is."""
    for form in forms:
        if _reads(parser, form, ""):
            return (attrs.evolve(form, breaks=_reads(parser, form, _BREAKS)),)
    return ()


def _reads(parser: ChatParser, form: Form, breaks: str) -> bool:
    thought = "" if form.end is None else _THOUGHT
    text = f"{form.begin}{thought}{form.end or ''}{breaks}{_MARK}"
    try:
        found = parser.parse(text, partial=False)
    except ChatParseError:
        return False
    thoughts = found.reasoning.strip()
    right = thoughts.endswith(_THOUGHT) if thought else not thoughts
    return right and found.content.strip() == _MARK and not found.tool_calls


def keeping(
    forms: Sequence[Form],
    schema: JsonSchema,
    spoken: Sequence[str],
    token_of: Callable[[str], int | None],
) -> Lark | JsonSchema:
    """What keeps an answer to one of some forms, and its content to a schema.

    Args:
        forms: Those that there are; at least one.
        schema: Of the content.
        spoken: The control tokens of the format.
        token_of: The control token that a text is, if it is one.
    """
    if list(forms) == [Form("", breaks=form.breaks) for form in forms]:
        return schema
    writer = _Writer(spoken, token_of)
    rules = [writer.form(index, form) for index, form in enumerate(forms)]
    names = " | ".join(f"form{index}" for index in range(len(forms)))
    lines = [f"start: {names}", *itertools.chain(*rules)]
    lines += ["BREAKS: /\\n{1,2}/", f"answer: %lark {{\n{schema.source}}}"]
    return Lark("\n".join(lines))


class _Writer:
    def __init__(self, spoken: Sequence[str], token_of: Callable[[str], int | None]) -> None:
        self._token_of = token_of
        known = sorted({*spoken, *_names(spoken)}, key=len, reverse=True)
        self._piece = re.compile("|".join(map(re.escape, known)) or r"(?!)")

    def form(self, index: int, form: Form) -> list[str]:
        """The rules for one."""
        parts = [self._part(part) for part in self._parts(form.begin)]
        rules = []
        if form.end is not None:
            first, *rest = self._parts(form.end)
            parts += [f"thoughts{index}", *(self._part(part) for part in rest)]
            rules = self._thoughts(index, first)
        if form.breaks:
            parts.append("BREAKS?")
        return [f"form{index}: {' '.join(parts)} answer", *rules]

    def _thoughts(self, index: int, end: str) -> list[str]:
        """Free text up to what ends it: spelled out, or a token."""
        rules = [
            f"thoughts{index}: spelled{index}",
            f"spelled{index}[lazy]: SPELLED{index}",
            f"SPELLED{index}: /(?s:.*)/ {_literal(end)}",
        ]
        token = self._token_of(end)
        if token is not None:
            rules[0] += f" | FREE{index}? <[{token}]>"
            rules.append(f"FREE{index}: /(?s:.+)/ & ~(/(?s:.*)/ {_literal(end)} /(?s:.*)/)")
        return rules

    def _part(self, text: str) -> str:
        token = self._token_of(text)
        return _literal(text) if token is None else f"({_literal(text)} | <[{token}]>)"

    def _parts(self, text: str) -> list[str]:
        """The tokens and the texts that it may be made of."""
        at, parts = 0, []
        for match in self._piece.finditer(text):
            parts += [text[at : match.start()], match[0]]
            at = match.end()
        return [part for part in (*parts, text[at:]) if part]


def _names(texts: Sequence[str]) -> Iterator[str]:
    """What looks like a token in longer texts."""
    for text in texts:
        yield from re.findall(r"<[^<>]+>", text)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
