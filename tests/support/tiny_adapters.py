"""LoRA adapters and control vectors for the tiny models, made on the spot from a seed."""

from __future__ import annotations

import functools
from pathlib import Path

import gguf
import numpy as np

from tests.support import tiny_gguf
from tests.support.tiny_gguf import N_EMBD, N_FF

RANK = 4
ALPHA = 6.0
_ATTENTION = {
    "blk.0.attn_q.weight": (N_EMBD, N_EMBD),
    "blk.0.attn_v.weight": (N_EMBD, N_EMBD),
    "blk.1.ffn_down.weight": (N_EMBD, N_FF),
    "blk.1.attn_output.weight": (N_EMBD, N_EMBD),
}
_MATRICES = {
    "attention": _ATTENTION,
    "window": _ATTENTION,
    "recurrent": {
        "blk.0.ssm_in.weight": (4 * N_EMBD, N_EMBD),
        "blk.1.ssm_out.weight": (N_EMBD, 2 * N_EMBD),
    },
}
"""Matrices that an adapter changes: rows (outputs) and columns (inputs)."""


def factors(kind: str, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The matrices A and B of an adapter, for each matrix that it changes."""
    random = np.random.default_rng([7, seed])
    return {
        name: (
            random.standard_normal((RANK, n_in)).astype(np.float32) / np.float32(np.sqrt(n_in)),
            random.standard_normal((n_out, RANK)).astype(np.float32),
        )
        for name, (n_out, n_in) in _MATRICES[kind].items()
    }


def deltas(kind: str, scales: dict[int, float]) -> dict[str, np.ndarray]:
    """What adapters, by seed, add to each matrix at these scales."""
    total: dict[str, np.ndarray] = {}
    for seed, scale in scales.items():
        for name, (a, b) in factors(kind, seed).items():
            added = scale * ALPHA / RANK * (b.astype(np.float64) @ a.astype(np.float64))
            total[name] = total.get(name, 0) + added
    return total


@functools.cache
def lora(kind: str, seed: int = 0) -> Path:
    """The file of an adapter."""
    path = tiny_gguf.new_file(f"{kind}-lora-{seed}.gguf")
    pairs = factors(kind, seed)
    return write_lora(path, tiny_gguf.architecture(kind), pairs, name=f"lora {seed}")


def write_lora(
    path: Path,
    architecture: str,
    pairs: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    name: str = "lora",
    alpha: float = ALPHA,
    invocation: tuple[int, ...] = (),
) -> Path:
    """Write an adapter of given matrices."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_name(name)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    writer.add_string("adapter.lora.task_name", "testing")
    if invocation:
        writer.add_key_value(
            "adapter.alora.invocation_tokens",
            list(invocation),
            gguf.GGUFValueType.ARRAY,
            gguf.GGUFValueType.UINT32,
        )
    for tensor, (a, b) in pairs.items():
        writer.add_tensor(f"{tensor}.lora_a", a)
        writer.add_tensor(f"{tensor}.lora_b", b)
    return _finish(writer, path)


def directions(kind: str, seed: int) -> dict[int, np.ndarray]:
    """The directions of a control vector, for each layer but the first."""
    layers = 6 if kind == "window" else tiny_gguf.N_LAYER
    random = np.random.default_rng([11, seed])
    return {
        layer: random.standard_normal(N_EMBD).astype(np.float32) * np.float32(3)
        for layer in range(1, layers)
    }


@functools.cache
def vector(kind: str, seed: int = 0, *, sign: int = 1) -> Path:
    """The file of a control vector."""
    path = tiny_gguf.new_file(f"{kind}-vector-{seed}-{sign}.gguf")
    made = {layer: sign * each for layer, each in directions(kind, seed).items()}
    return write_vector(path, made, hint=tiny_gguf.architecture(kind))


def write_vector(path: Path, made: dict[int, np.ndarray], *, hint: str = "") -> Path:
    """Write a control vector of given directions."""
    writer = gguf.GGUFWriter(path, "controlvector")
    if hint:
        writer.add_string("controlvector.model_hint", hint)
    writer.add_uint32("controlvector.layer_count", len(made))
    for layer, values in made.items():
        writer.add_tensor(f"direction.{layer}", values)
    return _finish(writer, path)


def _finish(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
