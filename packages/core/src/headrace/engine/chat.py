"""What a conversation becomes: its rendering as tokens, and how it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from headrace.errors import ParamsError
from headrace.params import SamplingParams
from headrace.requests.chat import ChatRequest
from headrace.streams.parser import RenderedChat
from headrace.streams.plain_text import tokens_of

if TYPE_CHECKING:
    from headrace.model import Model


@attrs.frozen
class Conversation:
    """A conversation as the engine takes it."""

    rendered: RenderedChat
    tokens: list[int]
    sampling: SamplingParams
    """With the grammar of the answer's format."""
    spoken: dict[int, bytes]
    """The control tokens that the answer's parser has to see, with their texts."""


def conversation(model: Model, request: ChatRequest) -> Conversation:
    """Have a conversation rendered and tokenized.

    Raises:
        TemplateError, UnsupportedError: See ``Session.chat``.
        ParamsError: For a grammar beside that of the answer's format.
    """
    rendered = model.rendered(request)
    return Conversation(
        rendered,
        tokens_of(model, rendered),
        _constrained(request.sampling, rendered),
        _spoken(model, rendered),
    )


def _constrained(sampling: SamplingParams, rendered: RenderedChat) -> SamplingParams:
    """The sampling params with the grammar of the answer's format."""
    if rendered.grammar is None:
        return sampling
    if sampling.grammar is not None:
        raise ParamsError(
            "SamplingParams.grammar must be None beside tools or a response_format: they have a "
            "grammar of their own",
            hint="Leave out one of them.",
        )
    return attrs.evolve(sampling, grammar=rendered.grammar)


def _spoken(model: Model, rendered: RenderedChat) -> dict[int, bytes]:
    found = {}
    for text in rendered.spoken:
        ids = model.tokenize(text, add_special=False, parse_special=True)
        if len(ids) == 1:
            found[ids[0]] = text.encode()
    return found
