"""llama-cpp-python as a worker: a streamed completion; one at a time, as it has no other way."""

from __future__ import annotations

import threading
from collections.abc import Callable

from llama_cpp import Llama
from serving import serve


class Theirs:
    """A loaded model.

    Args:
        model: Its file.
        threads: A number of threads.
        streams: Taken in turns, because a model has one context.
        n_ctx: Tokens of memory.
    """

    def __init__(self, model: str, threads: int, streams: int, n_ctx: int) -> None:
        self._model = Llama(
            model, n_ctx=n_ctx, n_threads=threads, n_threads_batch=threads, verbose=False
        )
        self.n_vocab = self._model.n_vocab()
        eos = self._model.token_eos()
        self._never_end = {str(eos): -1000.0} if eos >= 0 else {}
        self._turn = threading.Lock()

    def generate(self, prompt: list[int], limit: int, on_token: Callable[[], bool]) -> None:
        """A streamed completion from an empty memory."""
        with self._turn:
            self._model.reset()
            chunks = self._model.create_completion(
                prompt, max_tokens=limit, temperature=0.0, stream=True
            )
            for count, _ in enumerate(chunks, 1):
                if not on_token() or count == limit:
                    break
            chunks.close()


if __name__ == "__main__":
    serve(Theirs)
