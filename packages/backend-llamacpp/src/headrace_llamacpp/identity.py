"""What a saved memory belongs to: a model file, and the settings that shape a memory.

A file is told from another without reading all of it. A GGUF file begins with its
metadata and the names, shapes and types of its tensors; those are hashed whole,
up to a limit that large vocabularies stay below, and the weights behind them by
samples. Two files that share all this and differ are not to be expected, unless
made for the purpose.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from headrace.params import EngineParams, ModelParams

_BEGINNING = 8 << 20
_SAMPLES = 64
_SAMPLE = 4096
_SHAPING = (
    "cache_type_k",
    "cache_type_v",
    "flash_attention",
    "full_window",
    "rope_scaling",
    "rope_freq_base",
    "rope_freq_scale",
    "yarn_ext_factor",
    "yarn_attn_factor",
    "yarn_beta_fast",
    "yarn_beta_slow",
    "yarn_orig_ctx",
)
"""Fields of ``EngineParams`` on which the numbers in memory or their order depend."""
_ORIGINAL = "rope.scaling.original_context_length"
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


def fingerprint(path: Path) -> str:
    """The same for the same file, wherever it lies; of a model in several files, of all of them."""
    hash_ = hashlib.blake2b(digest_size=16)
    for part in _parts(path):
        size = part.stat().st_size
        hash_.update(size.to_bytes(8, "little"))
        with part.open("rb") as file:
            hash_.update(file.read(_BEGINNING))
            if size <= _BEGINNING:
                continue
            for index in range(1, _SAMPLES + 1):
                file.seek(_BEGINNING + (size - _BEGINNING) * index // _SAMPLES - _SAMPLE)
                hash_.update(file.read(_SAMPLE))
    return hash_.hexdigest()


def _parts(path: Path) -> list[Path]:
    named = _PART.search(path.name)
    if named is None:
        return [path]
    start = path.name[: named.start()]
    numbers = range(1, int(named[2]) + 1)
    parts = [path.with_name(f"{start}-{number:05d}-of-{named[2]}.gguf") for number in numbers]
    return [part for part in parts if part.exists()]


def memory_key(
    engine: EngineParams, model: ModelParams, metadata: Mapping[str, str], n_ctx_sequence: int
) -> str:
    """The settings that decide what a memory looks like, in words; defaults are left out."""
    default = EngineParams()
    values = {name: getattr(engine, name) for name in _SHAPING}
    said = {name: value for name, value in values.items() if value != getattr(default, name)}
    if engine.divided:
        said["divided"] = engine.n_sequences
    if model.kv_overrides:
        said["kv_overrides"] = model.kv_overrides
    original = metadata.get(f"{metadata.get('general.architecture')}.{_ORIGINAL}")
    if original is not None and n_ctx_sequence > int(original):
        said["n_ctx"] = f"above {original}"  # some models then turn their positions otherwise
    return ", ".join(f"{name}={value}" for name, value in said.items()) or "default settings"
