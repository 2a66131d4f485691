"""A session's turn in a conversation: what of it is in the history stays, the rest is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from headrace.bases import SessionBase
from headrace.engine.beginning import Beginning
from headrace.engine.sampling import check_sampling
from headrace.errors import ParamsError
from headrace.params import SamplingParams
from headrace.requests.checks import check_generation
from headrace.streams.chat import ChatStream
from headrace.streams.tokens import TokenStream

if TYPE_CHECKING:
    from headrace.engine.generation import EngineGeneration
    from headrace.engine.model import EngineModel
    from headrace.engine.scheduler import Engine
    from headrace.engine.sequence import Sequence as EngineSequence
    from headrace.requests.keywords import Messages, Tools
    from headrace.streams.parser import RenderedChat


class ChattingSession(SessionBase):
    """The part of a session that answers conversations."""

    _model: EngineModel
    _engine: Engine
    _sequence: EngineSequence

    def chat(
        self,
        messages: Messages,
        *,
        tools: Tools = (),
        tool_choice: str | Mapping[str, Any] = "auto",
        parallel_tool_calls: bool = False,
        response_format: str | Mapping[str, Any] | None = None,
        template: str | None = None,
        reasoning: bool = True,
        template_args: Mapping[str, Any] | None = None,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        timeout: float | None = None,
    ) -> ChatStream:
        """Answer a conversation.

        The history becomes the conversation as the template renders it: what it
        begins with already is kept, so that a next turn runs only what is new.

        Args:
            messages: The whole conversation, oldest first: ``ChatMessage`` objects,
                or dicts as in OpenAI's chat API.
            tools: What the model may call: ``Tool`` objects or OpenAI's dicts.
            tool_choice: ``auto``, ``none``, ``required``, or
                ``{"type": "function", "function": {"name": …}}`` for a certain one.
            parallel_tool_calls: Whether one answer may call several tools.
            response_format: ``text``, ``json_object``, or OpenAI's dict with a JSON schema.
            template: Source of a Jinja template to use instead of the model's own.
            reasoning: Whether the model may think first, where its template has that.
            template_args: Further variables of the template.
            sampling: How tokens are chosen.
            max_tokens: Most new tokens; None: until the model ends or the context is full.
            stop: Strings that end the answer; they are not part of it.
            timeout: Seconds until the answer ends by itself; None: never.

        Returns:
            A stream of ``ChatChunk``; nothing is computed before it is read.

        Raises:
            ParamsError: For an argument outside its range, naming message and field.
            TemplateError: If there is no template, or it cannot be parsed or rendered.
            UnsupportedError: If the backend has no chat, or lacks what the answer needs.
            ContextFullError: If the conversation does not fit; the history is as before.
            BusyError: If another generation is under way.
            ClosedError: If the session or its model was closed.
        """
        self._check_process()
        stops = check_generation(sampling, max_tokens, stop, False, timeout)
        rendered = self._model.render_chat(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            response_format=response_format,
            template=template,
            reasoning=reasoning,
            template_args=template_args,
        )
        sampling = _constrained(sampling or SamplingParams(), rendered)
        check_sampling(sampling, self._model.info, self._model.capabilities)
        # The rendering leaves out the BOS that is added here.
        tokens = self._model.tokenize(rendered.prompt, add_special=True, parse_special=True)
        spoken = _spoken(self._model, rendered)
        with Beginning(self._sequence) as beginning:
            generation, kept = self._engine.begin_anew(
                self._sequence,
                tokens,
                what="conversation",
                remedy="Leave out old messages",
                sampling=sampling,
                max_tokens=max_tokens,
                spoken=spoken,
                beginning=beginning,
            )
            # In no variable: what is raised keeps those alive, and with them the stream.
            return ChatStream(
                self._stream(generation, (*stops, *rendered.stops), timeout),
                rendered,
                prompt_tokens=len(tokens),
                reused=kept,
            )

    def _stream(
        self, generation: EngineGeneration, stops: tuple[str, ...], timeout: float | None
    ) -> TokenStream:
        """The stream of a generation that was begun."""
        return TokenStream(
            generation,
            stop=stops,
            timeout=timeout,
            owner=self,
            model=self._model.info,
            prompt_tokens=generation.prompt_tokens,
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


def _spoken(model: EngineModel, rendered: RenderedChat) -> dict[int, bytes]:
    """The control tokens that the answer's parser has to see, with their texts."""
    found = {}
    for text in rendered.spoken:
        ids = model.tokenize(text, add_special=False, parse_special=True)
        if len(ids) == 1:
            found[ids[0]] = text.encode()
    return found
