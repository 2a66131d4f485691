"""What of a prompt a session has yet to compute, and whether the whole of it fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace_server.errors import ApiError

if TYPE_CHECKING:
    import headrace
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


async def rest_of(session: headrace.Session, prompt: tuple[int, ...]) -> tuple[int, ...]:
    """Make a session's history a beginning of a prompt, and say what is left of the prompt.

    The last token is always left, since what follows it has to be computed.

    Args:
        session: A new one, or one of an earlier request.
        prompt: The token ids.
    """
    history = await session.atokens()
    if not history:
        return prompt
    most = min(len(history), len(prompt) - 1)
    common = next((at for at in range(most) if history[at] != prompt[at]), most)
    if common < len(history):
        await session.arewind(to=common)
    return prompt[common:]
