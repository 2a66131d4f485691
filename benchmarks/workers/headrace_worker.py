"""headrace as a worker: streams of sessions, read by threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from serving import serve

import headrace
from headrace import EngineParams, SamplingParams

GREEDY = SamplingParams(temperature=0.0)


class Ours:
    """A loaded model.

    Args:
        model: Its file.
        threads: A number of threads, or None for headrace's own choice.
        streams: How many there will be at the same time.
        n_ctx: Tokens of memory.
        engine: More of ``EngineParams``.
    """

    def __init__(
        self, model: str, threads: int | None, streams: int, n_ctx: int, **engine: Any
    ) -> None:
        params = EngineParams(n_ctx=n_ctx, n_sequences=streams, n_threads=threads, **engine)
        self._model = headrace.load_model(model, backend="llamacpp", engine=params)
        self.n_vocab = self._model.info.n_vocab

    def generate(self, prompt: list[int], limit: int, on_token: Callable[[], bool]) -> None:
        """A stream of a session of its own, with a stop string."""
        with (
            self._model.open_session() as session,
            session.generate(
                prompt, sampling=GREEDY, max_tokens=limit, ignore_eog=True, stop=["\0never"]
            ) as stream,
        ):
            for chunk in stream:
                more = [on_token() for _ in chunk.tokens or (None,)]
                if not all(more):
                    break


if __name__ == "__main__":
    serve(Ours)
