"""The bytes of single tokens, for log-probabilities and lists of tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headrace.common.workers import in_worker
from headrace_server.wire import chat as wire

if TYPE_CHECKING:
    import headrace
    from headrace.results import TokenLogprob


class Pieces:
    """What each token of a model stands for inside of a text; asked for once.

    Args:
        model: Whose vocabulary it is.
    """

    def __init__(self, model: headrace.Model) -> None:
        self._model = model
        self._known: dict[int, bytes] = {}

    def __getitem__(self, token: int) -> bytes:
        """The bytes of a token that was looked up."""
        return self._known[token]

    async def know(self, logprobs: Iterable[TokenLogprob]) -> None:
        """Know all tokens of log-probabilities."""
        await self.look_up(
            token for each in logprobs for token in (each.token, *(id for id, _ in each.top))
        )

    def shown(self, each: TokenLogprob) -> wire.TokenLogprob:
        """A token that was looked up with its log-probability, in OpenAI's shape."""
        piece = self[each.token]
        return wire.TokenLogprob(
            token=piece.decode(errors="replace"),
            logprob=each.logprob,
            bytes=list(piece),
            top_logprobs=[
                wire.TopLogprob(self[id].decode(errors="replace"), value, list(self[id]))
                for id, value in each.top
            ],
        )

    async def look_up(self, tokens: Iterable[int]) -> None:
        """Know these tokens; a worker thread asks for those that are new."""
        new = {token for token in tokens if token not in self._known}
        if new:
            self._known.update(
                await in_worker(lambda: {token: self._piece(token) for token in new})
            )

    def _piece(self, token: int) -> bytes:
        # Twice: some vocabularies take a space off the beginning of a text.
        once = self._model.detokenize([token], special=True)
        twice = self._model.detokenize([token, token], special=True)
        return twice[len(once) :]
