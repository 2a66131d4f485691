"""The context: a ``DynamicCache`` for each sequence."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from headrace.errors import DecodeError
from headrace.params import EngineParams, SamplingParams
from headrace.protocols import SerialDecoder, Truncation, decoder_info
from headrace.results import TokenLogprob
from headrace_transformers import sampling

if TYPE_CHECKING:
    from headrace_transformers.model import TorchModel


class TorchDecoder(SerialDecoder[DynamicCache, torch.Tensor]):
    """Sequences over one set of weights."""

    def __init__(self, model: TorchModel, params: EngineParams) -> None:
        self._model = model
        self._n_threads = params.n_threads
        # Windows and recurrent layers have overwritten what a cut would need.
        plain = all(type(layer) is DynamicLayer for layer in self.new_memory().layers)
        super().__init__(
            decoder_info(
                params,
                n_ctx_train=model.info.n_ctx_train,
                truncation=Truncation.ANY if plain else Truncation.NONE,
                can_copy=plain,
                interruptible=model.interruptible,
            )
        )
        vocabulary = model.vocabulary
        self._ends = [id for id in range(vocabulary.n_tokens) if vocabulary.is_eog(id)]

    def new_memory(self) -> DynamicCache:
        """An empty cache."""
        return DynamicCache(config=self._model.network.config)

    def run(
        self, memory: DynamicCache, tokens: Sequence[int], check: Callable[[], None]
    ) -> torch.Tensor:
        """Run tokens; looks before each layer whether it should end."""
        if self._n_threads is not None and torch.get_num_threads() != self._n_threads:
            torch.set_num_threads(self._n_threads)  # of this thread; any may drive
        try:
            with torch.inference_mode():
                return self._model.forward(memory, list(tokens), check)
        except (MemoryError, RuntimeError) as error:
            raise DecodeError(f"PyTorch failed: {error}", backend="transformers") from error

    def cut(self, memory: DynamicCache, length: int) -> bool:
        """Cut each layer: after an interrupt they may differ in length."""
        if self.info.truncation is Truncation.NONE:
            return False
        for layer in memory.layers:
            layer.crop(min(0, length - layer.get_seq_length()))
        return True

    def copied(self, memory: DynamicCache, length: int) -> DynamicCache:
        """A copy, cut to its length."""
        with torch.inference_mode():
            other = copy.deepcopy(memory)
        self.cut(other, length)
        return other

    def choose(
        self,
        logits: torch.Tensor,
        params: SamplingParams,
        *,
        recent: Sequence[int],
        draw: float,
        ban_eog: bool,
        allowed: memoryview | None,
    ) -> int:
        """Choose a token; see ``headrace_transformers.sampling``."""
        banned = self._ends if ban_eog else []
        return sampling.choose(
            logits, params, recent=recent, draw=draw, banned=banned, allowed=allowed
        )

    def logprob(self, logits: torch.Tensor, token: int, n_top: int) -> TokenLogprob:
        """Of the model's own distribution."""
        return sampling.logprob(logits, token, n_top)
