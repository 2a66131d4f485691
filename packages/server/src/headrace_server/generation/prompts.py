"""Texts to be continued: whether a prompt fits, and how it becomes the history of a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.common.workers import in_worker
from headrace.results import Capability
from headrace_server.errors import ApiError

if TYPE_CHECKING:
    import headrace
    from headrace.streams.tokens import TokenStream
    from headrace_server.models.served import Served


def context_of(served: Served) -> int:
    """Tokens that one session of a model can have."""
    engine = served.spec.engine
    n_ctx = engine.context_length(served.model.info.n_ctx_train)
    return n_ctx // engine.n_sequences if engine.divided else n_ctx


def check_length(served: Served, n_tokens: int, field: str = "prompt") -> None:
    """Refuse a prompt that never fits, before it waits for a sequence.

    Args:
        served: The model.
        n_tokens: Length of the prompt.
        field: What the request calls it.

    Raises:
        ApiError: 400 with both numbers.
    """
    n_ctx = context_of(served)
    if n_tokens >= n_ctx:
        raise ApiError(
            400,
            "context_length_exceeded",
            f"{field} has {n_tokens} tokens, which exceeds the available context size of "
            f"{n_ctx} tokens: shorten it, or start the server with a larger --n-ctx",
            param=field,
            details={"n_prompt_tokens": n_tokens, "n_ctx": n_ctx},
        )


async def tokens_of(
    model: headrace.Model, text: str, *, add_special: bool = True, parse_special: bool = True
) -> tuple[int, ...] | None:
    """The token ids of a prompt; None where a service keeps its vocabulary to itself.

    Raises:
        TokenizeError: For a text that has no tokens in this vocabulary.
    """
    if Capability.TOKENIZE not in model.capabilities:
        return None
    found = await model.atokenize(text, add_special=add_special, parse_special=parse_special)
    return tuple(found)


async def begun(
    session: headrace.Session, prompt: str | Sequence[int], **settings: Any
) -> TokenStream:
    """Make a prompt the history, and begin what follows it.

    Args:
        session: One that is idle, with whatever history.
        prompt: Token ids, of which the session keeps those it begins with; or a text, for models
            without a vocabulary of their own.
        **settings: As for ``session.generate``.

    Raises:
        HeadraceError: What ``session.generate`` says.
    """

    def begin() -> TokenStream:
        if isinstance(prompt, str):
            session.reset()
            return session.generate(prompt, **settings)
        history = session.tokens
        kept = _common(history, prompt)
        if kept == len(prompt):
            kept -= 1  # the last one is run, to know what follows
        if kept < len(history):
            session.rewind(to=max(kept, 0))
        return session.generate(list(prompt[kept:]), **settings)

    return await in_worker(begin, unwanted=lambda stream: stream.close())


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))
