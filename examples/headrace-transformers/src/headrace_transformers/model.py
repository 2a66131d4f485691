"""The loaded model: weights, vocabulary, and the hooks that let a step be interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, DynamicCache

from headrace.errors import ModelFormatError, ModelMemoryError
from headrace.params import EngineParams, ModelParams
from headrace.protocols import SequenceDecoder
from headrace.results import ModelInfo
from headrace_transformers.decoder import TorchDecoder
from headrace_transformers.vocabulary import TorchVocabulary

_FORMAT_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    safetensors.SafetensorError,
)


class TorchModel:
    """A causal language model of transformers, with float32 weights on the CPU.

    Args:
        folder: What ``save_pretrained`` wrote, tokenizer included. Weights that are no
            safetensors are refused: unpickling them could run anything.
        params: Of which ``vocab_only`` matters.
        build: Versions named in receipts.
        progress: Told how far the load is; raises to end it.

    Raises:
        ModelFormatError: If the folder is damaged or incomplete.
        ModelMemoryError: If there is no memory for the weights.
    """

    def __init__(
        self, folder: Path, params: ModelParams, *, build: str, progress: Callable[[float], None]
    ) -> None:
        how: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = _loaded(folder, lambda: AutoTokenizer.from_pretrained(folder, **how))
        progress(0.1)
        self.network: Any = _loaded(folder, lambda: _network(folder, params.vocab_only, how))
        config = self.network.config.get_text_config(decoder=True)
        eog = self.network.generation_config.eos_token_id or tokenizer.eos_token_id
        ends = frozenset(eog if isinstance(eog, list) else [] if eog is None else [eog])
        self.vocabulary = TorchVocabulary(tokenizer, config.vocab_size, ends)
        names = {"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id}
        weights = list(self.network.parameters())
        self.info = ModelInfo(
            name=folder.resolve().name,
            backend="transformers",
            build=build,
            architecture=config.model_type,
            description=f"{config.model_type}, {sum(map(torch.numel, weights)):,} weights",
            n_vocab=config.vocab_size,
            n_ctx_train=getattr(config, "max_position_embeddings", None) or 0,
            n_params=sum(map(torch.numel, weights)),
            size_bytes=sum(each.nbytes for each in weights),
            special_tokens={name: id for name, id in names.items() if id is not None},
            metadata=config.to_dict(),
        )
        self._vocab_only = params.vocab_only
        self._running = threading.local()
        self.interruptible = self._hook_layers(config.num_hidden_layers)

    def generate_hint(self) -> str | None:
        """What to do to open a session, if the vocabulary alone was asked for."""
        return "Load it without vocab_only=True." if self._vocab_only else None

    def open_decoder(self, params: EngineParams) -> SequenceDecoder:
        """A new, empty context."""
        return TorchDecoder(self, params)

    def forward(
        self, cache: DynamicCache, tokens: list[int], check: Callable[[], None]
    ) -> torch.Tensor:
        """Logits after the last token; ``check`` is called before each layer and may raise."""
        self._running.check = check
        try:
            found = self.network(
                input_ids=torch.tensor([tokens]),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        finally:
            self._running.check = None
        return found.logits[0, -1].float()

    def close(self) -> None:
        """Drop the weights. Closing again does nothing."""
        self.network = None

    def _hook_layers(self, n_layers: int) -> bool:
        """Have each layer look whether it should begin; False if the layers are not found."""
        running = self._running

        def look(layer: torch.nn.Module, arguments: Any) -> None:
            # A local of the thread: another session's context may be running as well.
            check = getattr(running, "check", None)
            if check is not None:
                check()

        lists = (each for each in self.network.modules() if isinstance(each, torch.nn.ModuleList))
        layers = next((each for each in lists if len(each) == n_layers), ())
        for layer in layers:
            layer.register_forward_pre_hook(look)
        return bool(layers)


def _network(folder: Path, vocab_only: bool, how: dict[str, Any]) -> Any:
    """The network; with the vocabulary alone, one that has shapes and no weights."""
    if vocab_only:
        config = AutoConfig.from_pretrained(folder, **how)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)
    how = {**how, "use_safetensors": True, "dtype": torch.float32}
    return AutoModelForCausalLM.from_pretrained(folder, **how).eval()


def _loaded(folder: Path, load: Callable[[], Any]) -> Any:
    """What ``load`` returns; what the libraries raise becomes an error of headrace."""
    try:
        return load()
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ModelMemoryError(f"no memory for the model in {str(folder)!r}: {error}") from error
    except _FORMAT_ERRORS as error:
        raise ModelFormatError(
            f"transformers cannot load {str(folder)!r}: {error}",
            hint="The folder must have what save_pretrained writes, tokenizer included.",
            backend="transformers",
        ) from error
