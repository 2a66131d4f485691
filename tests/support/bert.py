"""BERT in numpy, and as a GGUF file: what llama.cpp computes is compared with this.

The network is that of Devlin et al. (2018): learned positions, attention in both
directions, LayerNorm after each sum. Tensors have llama.cpp's names.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import gguf
import numpy as np

from tests.support.wordpiece import CONTROL, WordPiece

TINY_WORDS = ("cat", "sat", "mat", "the", "on", "fox", "quick", "word", "river", "stone", "light")
SEED = 20240608


@attrs.frozen(kw_only=True)
class Bert:
    """A network with its vocabulary."""

    name: str
    tensors: dict[str, np.ndarray]
    wordpiece: WordPiece
    n_layer: int
    n_head: int
    n_ctx: int
    epsilon: float
    pooling: gguf.PoolingType

    def tokens(self, text: str) -> list[int]:
        """CLS, the text's pieces, SEP."""
        pieces = self.wordpiece.pieces(text)
        return [self.wordpiece.ids[each] for each in ("[CLS]", *pieces, "[SEP]")]

    def forward(self, ids: list[int]) -> np.ndarray:
        """A vector for each token, in double precision."""
        get = self._tensor
        hidden = get("token_embd.weight")[ids] + get("position_embd.weight")[: len(ids)]
        hidden = self._norm(hidden + get("token_types.weight")[0], "token_embd_norm")
        for layer in range(self.n_layer):
            block = f"blk.{layer}."
            hidden = self._norm(hidden + self._attention(hidden, block), f"{block}attn_output_norm")
            inner = _gelu(self._linear(hidden, f"{block}ffn_up"))
            out = self._linear(inner, f"{block}ffn_down")
            hidden = self._norm(hidden + out, f"{block}layer_output_norm")
        return hidden

    def embed(self, text: str) -> np.ndarray:
        """The mean of the tokens' vectors, of length 1."""
        vector = self.forward(self.tokens(text)).mean(axis=0)
        return vector / np.linalg.norm(vector)

    def score(self, ids: list[int]) -> float:
        """The classifier's number for the first token."""
        first = np.tanh(self._linear(self.forward(ids)[0], "cls"))
        return float(self._linear(first, "cls.output")[0])

    def write(self, target: Path) -> Path:
        """The network as a GGUF file of single precision."""
        writer = gguf.GGUFWriter(target, "bert")
        writer.add_name(self.name)
        writer.add_context_length(self.n_ctx)
        writer.add_embedding_length(self.tensors["token_embd.weight"].shape[1])
        writer.add_block_count(self.n_layer)
        writer.add_feed_forward_length(self.tensors["blk.0.ffn_up.weight"].shape[0])
        writer.add_head_count(self.n_head)
        writer.add_layer_norm_eps(self.epsilon)
        writer.add_causal_attention(False)
        writer.add_pooling_type(self.pooling)
        writer.add_token_type_count(len(self.tensors["token_types.weight"]))
        self.wordpiece.write(writer)
        for name, values in self.tensors.items():
            writer.add_tensor(name, np.ascontiguousarray(values, dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return target

    def _tensor(self, name: str) -> np.ndarray:
        return self.tensors[name].astype(np.float64)

    def _linear(self, inputs: np.ndarray, name: str) -> np.ndarray:
        return inputs @ self._tensor(f"{name}.weight").T + self._tensor(f"{name}.bias")

    def _norm(self, inputs: np.ndarray, name: str) -> np.ndarray:
        centred = inputs - inputs.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.epsilon)
        return centred / scale * self._tensor(f"{name}.weight") + self._tensor(f"{name}.bias")

    def _attention(self, hidden: np.ndarray, block: str) -> np.ndarray:
        n_tokens, n_embd = hidden.shape
        shape = (n_tokens, self.n_head, n_embd // self.n_head)
        query, key, value = (
            self._linear(hidden, f"{block}attn_{each}").reshape(shape).transpose(1, 0, 2)
            for each in "qkv"
        )
        weights = query @ key.transpose(0, 2, 1) / np.sqrt(shape[2])
        weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ value).transpose(1, 0, 2).reshape(n_tokens, n_embd)
        return self._linear(mixed, f"{block}attn_output")


def _gelu(values: np.ndarray) -> np.ndarray:
    """In the form with a tanh, as ggml computes it; the exact one differs by less than 0.0005."""
    return 0.5 * values * (1 + np.tanh(np.sqrt(2 / np.pi) * (values + 0.044715 * values**3)))


def tiny(pooling: gguf.PoolingType, n_embd: int = 64, n_ff: int = 128, n_ctx: int = 128) -> Bert:
    """Two layers of random weights; a reranker with a classifier if that is its pooling."""
    random = np.random.default_rng(SEED)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [
        *CONTROL,
        *letters,
        *(f"##{each}" for each in letters),
        *TINY_WORDS,
        *".,!?0123456789",
    ]
    tensors = {}

    def linear(name: str, n_out: int, n_in: int) -> None:
        tensors[f"{name}.weight"] = random.standard_normal((n_out, n_in)) * 1.5 / np.sqrt(n_in)
        tensors[f"{name}.bias"] = random.standard_normal(n_out) * 0.1

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = 1 + random.standard_normal(n_embd) * 0.1
        tensors[f"{name}.bias"] = random.standard_normal(n_embd) * 0.1

    for name, rows in (("token_embd", len(pieces)), ("position_embd", n_ctx), ("token_types", 2)):
        tensors[f"{name}.weight"] = random.standard_normal((rows, n_embd))
    norm("token_embd_norm")
    for layer in range(2):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            linear(f"blk.{layer}.{part}", n_embd, n_embd)
        linear(f"blk.{layer}.ffn_up", n_ff, n_embd)
        linear(f"blk.{layer}.ffn_down", n_embd, n_ff)
        norm(f"blk.{layer}.attn_output_norm")
        norm(f"blk.{layer}.layer_output_norm")
    if pooling == gguf.PoolingType.RANK:
        linear("cls", n_embd, n_embd)
        linear("cls.output", 1, n_embd)
    return Bert(
        name=f"tiny bert {pooling.name.lower()}",
        tensors=tensors,
        wordpiece=WordPiece(pieces),
        n_layer=2,
        n_head=4,
        n_ctx=n_ctx,
        epsilon=1e-12,
        pooling=pooling,
    )
