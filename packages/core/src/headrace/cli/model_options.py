"""Options for the settings of models and contexts, shared by all commands that load one.

Each option stands for a field of ``ModelParams`` or ``EngineParams``, which check what they are
given when ``headrace.cli.load`` makes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from headrace.cli.options import backend_option, kept, timeout_option
from headrace.errors import ParamsError
from headrace.params.engine import CACHE_TYPES

_F = TypeVar("_F", bound=Callable[..., Any])
_FLASH = {"on": True, "off": False, "auto": None}
_TYPES: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": lambda text: {"true": True, "false": False}[text],
    "str": str,
}


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError as error:
        raise ParamsError(
            f"--tensor-split must be numbers separated by commas, got {text!r}"
        ) from error


def _overrides(texts: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    return tuple(map(_override, texts))


def _override(text: str) -> tuple[str, Any]:
    key, equals, typed = text.partition("=")
    kind, colon, value = typed.partition(":")
    try:
        if equals and colon:
            return key, _TYPES[kind](value)
    except (KeyError, ValueError):
        pass
    raise ParamsError(
        f"--override-kv must be KEY=TYPE:VALUE with a type of {', '.join(_TYPES)}, got {text!r}",
        hint="Such as --override-kv llama.rope.freq_base=float:1000000.",
    )


def _isolation(wanted: bool) -> str | None:
    return "process" if wanted else None


isolation_option = kept(
    "model", "isolation", "--isolation", is_flag=True, convert=_isolation,
    help="Load it in a process of its own, whose end ends only the command.",
)  # fmt: skip
threads_option = kept(
    "engine", "n_threads", "--threads", type=int, metavar="N",
    help="Threads  [default: the physical cores].",
)  # fmt: skip
_N_CTX = kept(
    "engine", "n_ctx", "--n-ctx", type=int, metavar="N",
    help="Context length  [default: the model's, at most 4096].",
)  # fmt: skip
_OPTIONS = (
    isolation_option,
    kept(
        "model", "n_gpu_layers", "--gpu-layers", type=int, metavar="N",
        help="Layers kept on the GPU  [default: all].",
    ),
    kept(
        "model", "devices", "--device", multiple=True, metavar="NAME",
        help="Device to use; repeatable. `headrace devices` lists them  [default: all].",
    ),
    kept(
        "model", "split_mode", "--split-mode", type=click.Choice(("none", "layer", "row")),
        help="How a model is divided among GPUs  [default: layer].",
    ),
    kept(
        "model", "main_gpu", "--main-gpu", type=int, metavar="N",
        help="The GPU that gets the model with --split-mode none  [default: 0].",
    ),
    kept(
        "model", "tensor_split", "--tensor-split", metavar="N,N,...", convert=_numbers,
        help="Shares of the model for each GPU  [default: by their memory].",
    ),
    kept(
        "model", "load_mode", "--load-mode",
        type=click.Choice(("auto", "none", "mmap", "mlock", "mmap+mlock", "direct_io")),
        help="How the file is read  [default: auto].",
    ),
    kept(
        "model", "kv_overrides", "--override-kv", multiple=True, metavar="KEY=TYPE:VALUE",
        convert=_overrides, help="Replace metadata of the model; repeatable.",
    ),
    kept(
        "model", "numa", "--numa", type=click.Choice(("distribute", "isolate", "numactl")),
        help="Spread over the nodes of a NUMA machine.",
    ),
    kept(
        "model", "check_memory", "--check-memory/--no-check-memory", default=None,
        help="Refuse what would not fit into memory  [default: yes].",
    ),
    kept(
        "engine", "n_batch", "--n-batch", type=int, metavar="N",
        help="Most tokens in one native call  [default: 2048].",
    ),
    kept(
        "engine", "n_ubatch", "--n-ubatch", type=int, metavar="N",
        help="Most tokens computed at once  [default: 512].",
    ),
    kept(
        "engine", "flash_attention", "--flash-attention", type=click.Choice(tuple(_FLASH)),
        convert=_FLASH.__getitem__, help="Fused attention kernels  [default: auto].",
    ),
    kept(
        "engine", "cache_type_k", "--cache-type-k", type=click.Choice(CACHE_TYPES),
        help="What keys are kept as  [default: f16].",
    ),
    kept(
        "engine", "cache_type_v", "--cache-type-v", type=click.Choice(CACHE_TYPES),
        help="What values are kept as  [default: f16].",
    ),
    kept(
        "engine", "rope_scaling", "--rope-scaling",
        type=click.Choice(("none", "linear", "yarn", "longrope")),
        help="How positions are stretched  [default: the model's].",
    ),
    kept(
        "engine", "rope_freq_base", "--rope-freq-base", type=float, metavar="B",
        help="Base of the rotary frequencies  [default: the model's].",
    ),
    kept(
        "engine", "rope_freq_scale", "--rope-freq-scale", type=float, metavar="F",
        help="Factor of the rotary frequencies  [default: the model's].",
    ),
)  # fmt: skip


def model_options(command: _F) -> _F:
    """Options of every command that loads a model to run it."""
    for option in (timeout_option, threads_option, _N_CTX, backend_option, *reversed(_OPTIONS)):
        command = option(command)
    return command
