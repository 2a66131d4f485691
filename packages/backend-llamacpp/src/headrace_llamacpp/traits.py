"""What kind of network a model is: whether it generates, and how its memory behaves."""

from __future__ import annotations

from typing import Any

import attrs

from headrace.protocols import Truncation
from headrace_llamacpp._native import lib

_WHOLE_ONLY = frozenset({"deepseek4"})
"""Architectures beside the recurrent ones whose memory cannot forget a part: their
compressed cache refuses, and asserts when it is to copy one."""


@attrs.frozen
class Traits:
    """The answers to llama.cpp's questions about a model."""

    vocab_only: bool
    has_encoder: bool
    has_decoder: bool
    is_diffusion: bool
    is_causal: bool
    """False for networks that look at the whole text at once, such as BERT's."""
    whole_only: bool
    """Memory forgets and copies whole sequences only (recurrent, hybrid)."""
    n_swa: int
    """Length of the sliding window; 0 without one."""

    @classmethod
    def of(cls, model: Any, metadata: dict[str, str], *, vocab_only: bool) -> Traits:
        """The traits of a loaded ``llama_model``."""
        architecture = metadata.get("general.architecture", "")
        return cls(
            vocab_only=vocab_only,
            has_encoder=lib.llama_model_has_encoder(model),
            has_decoder=lib.llama_model_has_decoder(model),
            is_diffusion=lib.llama_model_is_diffusion(model),
            is_causal=metadata.get(f"{architecture}.attention.causal") != "false",
            whole_only=bool(
                lib.llama_model_is_recurrent(model)
                or lib.llama_model_is_hybrid(model)
                or architecture in _WHOLE_ONLY
            ),
            n_swa=lib.llama_model_n_swa(model),
        )

    def generate_hint(self) -> str | None:
        """Why the model opens no session, or None if it does."""
        if self.vocab_only:
            return "It was loaded with vocab_only=True; load it without."
        if self.has_encoder and self.has_decoder:
            return "It is an encoder-decoder model, which headrace does not support yet."
        if self.has_encoder or not self.has_decoder:
            return "It is an encoder: it makes embeddings, no text."
        if self.is_diffusion:
            return "It is a diffusion model, which headrace does not support yet."
        if not self.is_causal:
            return "It is an encoder: it makes embeddings, no text."
        return None

    def embed_hint(self) -> str | None:
        """Why the model makes no vectors, or None if it does."""
        if self.vocab_only:
            return "It was loaded with vocab_only=True; load it without."
        if self.has_encoder and self.has_decoder:
            return "It is an encoder-decoder model, which headrace does not support yet."
        if self.is_diffusion:
            return "It is a diffusion model, which headrace does not support yet."
        return None

    def can_shift(self, *, full_window: bool) -> bool:
        """Whether its memory can forget its oldest tokens and move the others down."""
        return self.truncation(full_window=full_window) is Truncation.ANY

    def truncation(self, *, full_window: bool) -> Truncation:
        """How much of a sequence's end the model's memory can forget."""
        if self.whole_only:
            return Truncation.NONE
        return Truncation.RECENT if self.n_swa > 0 and not full_window else Truncation.ANY
