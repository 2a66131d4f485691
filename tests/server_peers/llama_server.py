"""What llama.cpp's server tests start instead of llama-server: its flags, headrace's server.

Models that the tests would download are exchanged for small ones that are here; what a flag has no
counterpart for is passed over, and the list of what is not passed says which tests need it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import attrs
import uvicorn

from headrace import EngineParams, ModelParams, SamplingParams
from headrace.testing import tiny_gguf
from headrace_server import ApiKey, ModelSpec, ServerSettings, create_app

MODEL = "HEADRACE_PEERS_MODEL"
"""A model file to be used for all that write text; without it they are tiny, and write nonsense."""

_ALONE = """
offline cont-batching embedding swa-full no-slots slots verbose no-jinja jinja no-mmproj
ui-mcp-proxy backend_sampling no-cache-idle-slots no-models-autoload
"""
_WITH_VALUE = """
hf-repo hf-file model-url n-gpu-layers grp-attn-n grp-attn-w spec-type spec-draft-n-max
spec-draft-n-min spec-synth-len spec-synth-rates reasoning-format reasoning chat-template
chat-template-file mmproj-url media-path cache-ram tools tools-runtime tags mcp-servers-config
mcp-servers-json models-dir models-max models-preset model-draft slot-save-path n-predict
"""
"""Flags with no counterpart; some are looked at for the model."""


def parser() -> argparse.ArgumentParser:
    """The flags that the tests use."""
    found = argparse.ArgumentParser(allow_abbrev=False)
    add = found.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=8080)
    add("--model", "-m")
    add("--alias")
    add("--temp", type=float)
    add("--seed", type=int)
    add("--ctx-size", type=int, default=512)
    add("--parallel", type=int, default=1)
    add("--batch-size", type=int)
    add("--ubatch-size", type=int)
    add("--threads", type=int)
    add("--kv-unified", action="store_true")
    add("--pooling")
    add("--reranking", action="store_true")
    add("--metrics", action="store_true")
    add("--no-ui", action="store_true")
    add("--lora", action="append", default=[])
    add("--api-key", action="append", default=[])
    add("--cors-origins")
    add("--sleep-idle-seconds", type=float)
    add("-ctk", dest="cache_type_k")
    add("-ctv", dest="cache_type_v")
    add("-fa", dest="flash_attention")
    add("--context-shift", action="store_true")
    for name in _ALONE.split():
        add(f"--{name}", action="store_true")
    for name in _WITH_VALUE.split():
        add(f"--{name}")
    return found


def reference(flags: argparse.Namespace) -> str:
    """The model that stands for the one that a test wants."""
    if flags.model:
        return str(flags.model)
    wanted = f"{flags.hf_repo} {flags.hf_file}"
    if flags.reranking or "rerank" in wanted:
        return "fake:"
    if "bert" in wanted:
        from tests.support import minilm

        return str(minilm.path())
    if "infill" in wanted:
        return str(tiny_gguf.path("attention+infill"))
    return os.environ.get(MODEL) or str(tiny_gguf.path("attention+chat"))


def engine(flags: argparse.Namespace) -> EngineParams:
    """The context, shared or divided as with llama-server."""
    given = {
        "n_batch": flags.batch_size,
        "n_ubatch": flags.ubatch_size or flags.batch_size,
        "n_threads": flags.threads or 1,
        "cache_type_k": flags.cache_type_k,
        "cache_type_v": flags.cache_type_v,
        "flash_attention": {"on": True, "off": False}.get(flags.flash_attention or ""),
    }
    return EngineParams(
        n_ctx=flags.ctx_size,
        n_sequences=flags.parallel,
        divided=flags.parallel > 1 and not flags.kv_unified,
        **{name: value for name, value in given.items() if value is not None},
    )


def spec(flags: argparse.Namespace) -> ModelSpec:
    """The model that is served."""
    sampling = SamplingParams()
    if flags.temp is not None:
        sampling = attrs.evolve(sampling, temperature=flags.temp)
    if flags.seed is not None and flags.seed >= 0:
        sampling = attrs.evolve(sampling, seed=flags.seed)
    return ModelSpec(
        name=(flags.alias or "model").split(",")[0],
        reference=reference(flags),
        params=ModelParams(),
        engine=engine(flags),
        adapters=tuple((path, 1.0) for path in flags.lora),
        sampling=sampling,
    )


def settings(flags: argparse.Namespace) -> ServerSettings:
    """How the server is to behave."""
    given: dict[str, object] = {}
    if flags.cors_origins:
        given["cors_origins"] = tuple(flags.cors_origins.split(","))
    if flags.sleep_idle_seconds is not None and flags.sleep_idle_seconds > 0:
        given["idle_unload"] = flags.sleep_idle_seconds
    return ServerSettings(
        api_keys=tuple(ApiKey(key=key, name=f"key {at}") for at, key in enumerate(flags.api_key)),
        metrics=flags.metrics,
        page=not flags.no_ui,
        **given,
    )


def main(arguments: list[str]) -> int:
    """Serve until told to end."""
    flags = parser().parse_args(arguments)
    app = create_app(spec(flags), settings(flags))
    uvicorn.run(app, host=flags.host, port=flags.port, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))  # for tests.support
    sys.exit(main(sys.argv[1:]))
