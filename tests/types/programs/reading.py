"""What a program does with threads: load, generate, chat, embed, score, save."""

from __future__ import annotations

from pathlib import Path

import headrace
from headrace import (
    ChatCompletion,
    ChatMessage,
    Completion,
    EngineParams,
    JsonSchema,
    Model,
    ModelParams,
    PromptLookup,
    SamplingParams,
    Session,
    SessionParams,
    StopReason,
)


def write(path: Path) -> str:
    """Text, piece by piece."""
    text = ""
    with (
        headrace.load_model(path, engine=EngineParams(n_ctx=512)) as model,
        model.open_session(SessionParams(reproducible=True)) as session,
        session.generate("Once", sampling=SamplingParams(seed=1), stop="\n") as stream,
    ):
        for chunk in stream:
            text += chunk.text
        done: Completion = stream.result
        assert done.stop_reason is not StopReason.MAX_TOKENS
        ids: tuple[int, ...] = done.tokens
        session.rewind(to=len(session.tokens) - len(ids))
        fork: Session = session.fork()
        fork.close()
    return text


def converse(model: Model) -> str:
    """A conversation with messages of both kinds."""
    session = model.open_session()
    answer: ChatCompletion = session.complete_chat(
        [ChatMessage(role="user", content="Hi"), {"role": "user", "content": "Hello"}],
        response_format="json_object",
        max_tokens=8,
        timeout=1.5,
    )
    for piece in session.chat([{"role": "user", "content": "Again"}]):
        print(piece.content)
    return answer.message.content


def measure(model: Model) -> list[float]:
    """Numbers."""
    vectors = model.embed(["a", "b"], pooling="mean", progress=print)
    ranking = model.rerank("query", ["one", "two"], sort=True)
    scores = [each.score for each in ranking]
    score = model.open_session().score("text", top=3)
    perplexity: float | None = score.perplexity
    return [*scores, vectors.n_dimensions, perplexity or 0.0]


def constrained(path: str) -> str:
    """The less common settings."""
    params = ModelParams(isolation="process")
    with headrace.load_model(path, params=params, progress=lambda done: done < 2) as model:
        sampling = SamplingParams(grammar=JsonSchema({"type": "object"}), temperature=0.2)
        session = model.open_session(SessionParams(speculate=PromptLookup()))
        session.save_state("state.bin")
        session.load_state(session.state())
        return session.complete_infill("def f(", ")", sampling=sampling, order="spm").text


def careful(path: str) -> None:
    """Errors."""
    try:
        headrace.load_model(path)
    except headrace.ModelFormatError as error:
        print(error.message, error.hint, error.backend)
    except headrace.HeadraceError:
        raise
