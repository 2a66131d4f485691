"""Tiny GGUF models, made on the spot from a seed: real files of every kind of memory.

They load in milliseconds and write nonsense, which is all that most tests of
the native side need. Weights are random; the rows of the control tokens in the
output matrix are zero, so that a model practically never ends by itself.

Needs the ``gguf`` package, which brings numpy. Files are kept until the process ends.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import gguf
import numpy as np

from headrace.errors import ParamsError

SEED = 20240607
N_LAYER = 2
N_EMBD = 64
N_HEAD = 4
N_FF = 128
N_CTX_TRAIN = 8192
WINDOW = 32
"""Length of the sliding window of the ``window`` model, in tokens."""

UNK, BOS, EOS = 0, 1, 2
FIRST_BYTE = 3
_WORDS: tuple[str, ...] = (
    "▁",
    "e",
    "t",
    "a",
    "o",
    "i",
    "n",
    "s",
    "h",
    "r",
    "▁t",
    "▁a",
    "he",
    "in",
    "er",
    "an",
)
_WORDS += ("re", "on", "▁the", "the", "▁w", "▁s", "en", "▁and", "▁o", "at", "ou", "ing", "▁of")
N_VOCAB = FIRST_BYTE + 256 + len(_WORDS)
FIM = {name: N_VOCAB - 5 + index for index, name in enumerate(("pre", "suf", "mid", "rep", "sep"))}
"""Ids of the tokens for filling in the middle, of kinds that have them: the last words' places."""
TURNS = {
    text: N_VOCAB - 4 + index
    for index, text in enumerate(("<|im_start|>", "<|im_end|>", "[INST]", "<end_of_turn>"))
}
"""Ids of the control tokens of kinds with ``+chat``, two of which its template writes."""
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The chat template of kinds with ``+chat``."""
_N_FIM = {"": 0, "gap": 3, "infill": 5, "marker": 0, "chat": 0}
MARKER = "<start_of_image>"
"""Text of the user-defined token of kinds with ``+marker``, which is the last word's."""


def path(kind: str) -> Path:
    """The file of a model.

    Args:
        kind: ``attention``, ``window`` (sliding, five layers in six), ``recurrent``
            (Mamba), ``bpe`` (attention, with a tokenizer that splits by regular expression),
            ``wide_heads`` (attention, with heads of 32 numbers, which quantized caches need),
            ``recommending`` (attention, with metadata about sampling),
            ``encoder`` (not causal) or ``no_vocabulary``. After ``attention``, ``window`` or
            ``recurrent`` may stand ``+infill``, for all tokens for filling in the middle,
            ``+gap``, for the three that it takes, ``+marker``, for a user-defined token, or
            ``+chat``, for a chat template and its control tokens.

    Raises:
        ParamsError: For another kind.
    """
    base, plus, fim = kind.partition("+")
    if base not in _ARCHITECTURES or bool(plus) != bool(fim and fim in _N_FIM):
        raise ParamsError(
            f"there is no tiny model {kind!r}", hint=f"Known: {', '.join(_ARCHITECTURES)}."
        )
    return _build(kind)


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="headrace-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def changed(kind: str, name: str, deltas: Mapping[str, np.ndarray]) -> Path:
    """The file of a model with something added to some of its matrices."""
    return _write(kind, _folder() / f"{kind}-{name}.gguf", deltas)


def architecture(kind: str) -> str:
    """The architecture of a model."""
    return _ARCHITECTURES[kind][0]


def new_file(name: str) -> Path:
    """A path in the folder of the tiny models, which goes away with the process."""
    return _folder() / name


@functools.cache
def _build(kind: str) -> Path:
    return _write(kind, _folder() / f"{kind}.gguf", {})


def _write(kind: str, target: Path, deltas: Mapping[str, np.ndarray]) -> Path:
    kind, _, tokens = kind.partition("+")
    fim = dict(list(FIM.items())[: _N_FIM[tokens]])
    turns: Mapping[str, int] = {}
    architecture, layers, tensors = _ARCHITECTURES[kind]
    writer = gguf.GGUFWriter(target, architecture)
    _add_parameters(writer, kind, layers)
    if kind == "no_vocabulary":
        writer.add_tokenizer_model("no_vocab")
        writer.add_vocab_size(N_VOCAB)
    elif kind == "bpe":
        _add_bpe_vocabulary(writer)
    else:
        turns = TURNS if tokens == "chat" else {}
        _add_spm_vocabulary(writer, fim, turns, marker=tokens == "marker")
        if turns:
            writer.add_chat_template(TEMPLATE)
    control = [UNK, BOS, EOS, *fim.values(), *turns.values()]
    tensors(_Weights(writer, np.random.default_rng(SEED), deltas, control), layers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _add_parameters(writer: gguf.GGUFWriter, kind: str, layers: int) -> None:
    writer.add_name(f"tiny {kind}")
    writer.add_context_length(N_CTX_TRAIN)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(layers)
    writer.add_layer_norm_rms_eps(1e-5)
    if kind == "recurrent":
        writer.add_feed_forward_length(0)
        writer.add_head_count(0)
        writer.add_ssm_conv_kernel(4)
        writer.add_ssm_inner_size(2 * N_EMBD)
        writer.add_ssm_state_size(16)
        writer.add_ssm_time_step_rank(4)
        return
    writer.add_feed_forward_length(N_FF)
    n_head = 2 if kind == "wide_heads" else N_HEAD
    writer.add_head_count(n_head)
    writer.add_head_count_kv(n_head)
    writer.add_rope_dimension_count(N_EMBD // n_head)
    if kind == "window":
        writer.add_sliding_window(WINDOW)
    if kind == "encoder":
        writer.add_causal_attention(False)
    if kind == "recommending":
        writer.add_string("general.sampling.sequence", "top-k;typ;min_p;TEMP")
        writer.add_int32("general.sampling.top_k", 17)
        writer.add_float32("general.sampling.top_p", 0.5)  # not in the sequence
        writer.add_float32("general.sampling.min_p", 0.125)
        writer.add_float32("general.sampling.temp", 0.25)


def _add_spm_vocabulary(
    writer: gguf.GGUFWriter, fim: Mapping[str, int], turns: Mapping[str, int], *, marker: bool
) -> None:
    """Every byte, and some words; nothing is added to or taken from a text but BOS."""
    kinds = gguf.TokenType
    tokens = ["<unk>", "<s>", "</s>"]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += _WORDS
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL]
    types += [kinds.BYTE] * 256 + [kinds.NORMAL] * len(_WORDS)
    for name, token in fim.items():
        tokens[token], types[token] = f"<fim:{name}>", kinds.CONTROL
        writer.add_uint32(f"tokenizer.ggml.fim_{name}_token_id", token)
    for text, token in turns.items():
        tokens[token], types[token] = text, kinds.CONTROL
    if marker:
        tokens[-1], types[-1] = MARKER, kinds.USER_DEFINED
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * (FIRST_BYTE + 256) + [-float(i) for i in range(len(_WORDS))])
    writer.add_token_types(types)
    writer.add_unk_token_id(UNK)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_add_space_prefix(False)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def _add_bpe_vocabulary(writer: gguf.GGUFWriter) -> None:
    """Bytes in GPT-2's spelling, no merges, and a pre-tokenizer of regular expressions."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    spelled = {byte: chr(byte) for byte in printable}
    spelled |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    tokens = ["<unk>", "<s>", "</s>", *(spelled[byte] for byte in range(256))]
    tokens += [f"<unused{index}>" for index in range(N_VOCAB - len(tokens))]
    kinds = gguf.TokenType
    types = [kinds.CONTROL] * 3 + [kinds.NORMAL] * 256
    types += [kinds.UNUSED] * (N_VOCAB - len(types))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("deepseek-llm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_add_bos_token(True)


class _Weights:
    """Adds tensors; shapes are llama.cpp's reversed, as gguf has them."""

    def __init__(
        self,
        writer: gguf.GGUFWriter,
        random: np.random.Generator,
        deltas: Mapping[str, np.ndarray],
        control: list[int],
    ) -> None:
        self._control = control
        self._writer = writer
        self._random = random
        self._deltas = deltas

    def matrix(self, name: str, n_out: int, n_in: int, scale: float = 1.0) -> None:
        """Random weights that keep the size of what they multiply."""
        values = self._random.standard_normal((n_out, n_in)) * scale / np.sqrt(n_in)
        if name == "output.weight":
            values[self._control] = 0
        values = values + self._deltas.get(name, 0)
        self._writer.add_tensor(name, values.astype(np.float32))

    def constant(self, name: str, shape: tuple[int, ...], value: float) -> None:
        """The same number everywhere."""
        self._writer.add_tensor(name, np.full(shape, value, dtype=np.float32))


def _attention_tensors(weights: _Weights, layers: int) -> None:
    _outer_tensors(weights)
    for layer in range(layers):
        name = f"blk.{layer}."
        _attention_block(weights, name)


def _window_tensors(weights: _Weights, layers: int) -> None:
    _outer_tensors(weights)
    for layer in range(layers):
        name = f"blk.{layer}."
        _attention_block(weights, name)
        for norm in ("post_attention_norm", "post_ffw_norm"):
            weights.constant(f"{name}{norm}.weight", (N_EMBD,), 1.0)
        for norm in ("attn_q_norm", "attn_k_norm"):
            weights.constant(f"{name}{norm}.weight", (N_EMBD // N_HEAD,), 1.0)


def _outer_tensors(weights: _Weights) -> None:
    weights.matrix("token_embd.weight", N_VOCAB, N_EMBD, scale=8.0)
    weights.constant("output_norm.weight", (N_EMBD,), 1.0)
    weights.matrix("output.weight", N_VOCAB, N_EMBD, scale=4.0)


def _attention_block(weights: _Weights, name: str) -> None:
    for norm in ("attn_norm", "ffn_norm"):
        weights.constant(f"{name}{norm}.weight", (N_EMBD,), 1.0)
    for matrix in ("attn_q", "attn_k", "attn_v", "attn_output"):
        weights.matrix(f"{name}{matrix}.weight", N_EMBD, N_EMBD, scale=2.0)
    weights.matrix(f"{name}ffn_gate.weight", N_FF, N_EMBD)
    weights.matrix(f"{name}ffn_up.weight", N_FF, N_EMBD)
    weights.matrix(f"{name}ffn_down.weight", N_EMBD, N_FF)


def _recurrent_tensors(weights: _Weights, layers: int) -> None:
    _outer_tensors(weights)
    inner, state, rank, kernel = 2 * N_EMBD, 16, 4, 4
    for layer in range(layers):
        name = f"blk.{layer}."
        weights.constant(f"{name}attn_norm.weight", (N_EMBD,), 1.0)
        weights.matrix(f"{name}ssm_in.weight", 2 * inner, N_EMBD)
        weights.matrix(f"{name}ssm_conv1d.weight", inner, kernel)
        weights.constant(f"{name}ssm_conv1d.bias", (inner,), 0.1)
        weights.matrix(f"{name}ssm_x.weight", rank + 2 * state, inner)
        weights.matrix(f"{name}ssm_dt.weight", inner, rank)
        weights.constant(f"{name}ssm_dt.bias", (inner,), -1.0)
        weights.constant(f"{name}ssm_a", (inner, state), -0.5)
        weights.constant(f"{name}ssm_d", (inner,), 1.0)
        weights.matrix(f"{name}ssm_out.weight", N_EMBD, inner)


_ARCHITECTURES: dict[str, tuple[str, int, Callable[[_Weights, int], None]]] = {
    "attention": ("llama", N_LAYER, _attention_tensors),
    "window": ("gemma3", 6, _window_tensors),
    "recurrent": ("mamba", N_LAYER, _recurrent_tensors),
    "bpe": ("llama", N_LAYER, _attention_tensors),
    "wide_heads": ("llama", N_LAYER, _attention_tensors),
    "recommending": ("llama", N_LAYER, _attention_tensors),
    "encoder": ("llama", N_LAYER, _attention_tensors),
    "no_vocabulary": ("llama", N_LAYER, _attention_tensors),
}
