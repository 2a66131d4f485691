"""Texts to be continued: a prompt becomes the history, which keeps what it begins with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.common.workers import in_worker
from headrace.results import Capability

if TYPE_CHECKING:
    import headrace
    from headrace.streams.tokens import TokenStream


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
