"""xllamacpp as a worker: llama-server within the process, asked for streamed completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xllamacpp
from serving import serve


class Theirs:
    """A server in this process, asked without HTTP.

    Args:
        model: Its file.
        threads: A number of threads.
        streams: Slots of the server.
        n_ctx: Tokens of memory, for all slots together.
    """

    def __init__(self, model: str, threads: int, streams: int, n_ctx: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = model
        params.n_ctx = n_ctx
        params.n_parallel = streams
        params.kv_unified = True  # else each slot has its share of the memory only
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.verbosity = 0
        self._server = xllamacpp.Server(params)
        self.n_vocab = 30_000

    def generate(self, prompt: list[int], limit: int, on_token: Callable[[], bool]) -> None:
        """A streamed completion.

        Raises:
            RuntimeError: For a request that was refused, or brought nothing.
        """
        told: list[object] = []

        def on_chunk(chunk: dict[str, Any]) -> bool:
            told.append(chunk.get("error"))
            if told[-1] is not None:
                return False
            choices = chunk.get("choices") or [{}]
            if choices[0].get("finish_reason") is not None:
                return False
            return not on_token()

        self._server.handle_completions(
            {
                "prompt": prompt,
                "max_tokens": limit,
                "temperature": 0.0,
                "ignore_eos": True,
                "stream": True,
                "cache_prompt": False,
            },
            on_chunk,
        )
        if not told or any(told):
            raise RuntimeError(f"no completion: {told!r:.300}")


if __name__ == "__main__":
    serve(Theirs)
