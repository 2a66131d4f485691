"""What is known of a model, and what it can do."""

from __future__ import annotations

import enum
from typing import Any

import attrs


class Capability(str, enum.Enum):
    """What a model of a backend can do beyond streaming text."""

    TOKENIZE = "tokenize"
    """Text to token ids and back; prompts may be token ids."""
    GENERATE = "generate"
    """Sessions can be opened."""
    BATCHING = "batching"
    """Several sessions share one native call."""
    INTERRUPT = "interrupt"
    """A cancel takes effect inside a native call."""
    SHIFT = "shift"
    """``SessionParams(on_context_full="shift")`` is honoured."""
    REPRODUCIBLE = "reproducible"
    """``SessionParams(reproducible=True)`` is honoured."""
    SAMPLERS = "samplers"
    """Every sampler of ``SamplingParams``, not only temperature, top-k, top-p, min-p and the
    repetition penalty."""
    LOGPROBS = "logprobs"
    """Log-probabilities of the tokens chosen and of those that might have been."""
    SCORE = "score"
    """``session.score``: log-probabilities of a given text."""
    GRAMMAR = "grammar"
    """Output is constrained by a grammar, a JSON schema, a regular expression or a choice list."""
    CHAT = "chat"
    """``session.chat``: messages in, messages out, through the model's template."""
    EMBED = "embed"
    """``model.embed``: vectors for texts."""
    RERANK = "rerank"
    """``model.rerank``: how well documents answer a query."""
    STATE = "state"
    """``session.save_state`` and ``load_state``."""
    LORA = "lora"
    """Low-rank adapters can be loaded and used by sessions."""
    CONTROL_VECTORS = "control_vectors"
    """Control vectors can be loaded and used by sessions."""
    SPECULATE = "speculate"
    """Tokens are drafted and verified several at a time."""
    INFILL = "infill"
    """``session.infill``: text between a prefix and a suffix."""
    IMAGES = "images"
    """Messages may contain images."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen
class ModelInfo:
    """What is known of a loaded model."""

    name: str
    """The model's own name, or that of its file."""
    backend: str
    """Name of the backend that loaded it."""
    build: str
    """Version of the native library and what it was compiled for."""
    architecture: str
    """Family of the network, such as ``gemma3``; ``script`` for the fake."""
    description: str
    """One line for people."""
    n_vocab: int
    """Tokens in the vocabulary."""
    n_ctx_train: int
    """Longest context the model was trained for, in tokens; 0: unknown."""
    n_params: int | None = None
    """Number of weights."""
    size_bytes: int | None = None
    """Size of the weights."""
    special_tokens: dict[str, int] = attrs.field(factory=dict)
    """Ids of special tokens by their usual names (``bos``, ``eos``, ``eot``, …)."""
    load_seconds: float | None = None
    """How long the load took, on the monotonic clock; None: unknown."""
    metadata: dict[str, Any] = attrs.field(factory=dict)
    """The file's own key-value pairs."""
