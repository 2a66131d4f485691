"""``ModelParams``: what is loaded and where."""

from __future__ import annotations

import re
from typing import Any

import attrs

from headrace.errors import ParamsError
from headrace.params.fields import choice, flag, integer, refuse, strict_names
from headrace.params.isolation import IsolationParams
from headrace.params.metadata import as_pairs, overrides, patterns, proportions


def _names(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    named = isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)
    if not value or not named:
        refuse(instance, field, value, "None or a non-empty sequence of device names")


def _as_names(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?:([1-9][0-9]{0,4})")
_MOST_SERVERS = 16
"""As many as llama.cpp's ``GGML_RPC_MAX_SERVERS``."""


def _addresses(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    fine = isinstance(value, tuple) and len(value) <= _MOST_SERVERS
    if not fine or not all(map(_is_address, value)) or len(set(value)) != len(value):
        allowed = (
            f"a sequence of at most {_MOST_SERVERS} different addresses such as '192.168.1.2:50052'"
        )
        refuse(instance, field, value, allowed)


def _is_address(value: Any) -> bool:
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) and len(value) < 256 else None
    return found is not None and int(found[2]) < 2**16


def _as_isolation(value: Any) -> Any:
    return IsolationParams() if value == "process" else value


def _isolation(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, IsolationParams):
        refuse(instance, field, value, "'process', IsolationParams or None")


@strict_names
@attrs.frozen(kw_only=True)
class ModelParams:
    """What is loaded and where.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    n_gpu_layers: int | None = attrs.field(default=None, validator=integer(0, optional=True))
    """Layers kept on the GPU, counted from the last; None: all, 0: none. Ignored without a GPU.
    llama.cpp: ``n_gpu_layers``, default −1 (all)."""

    devices: tuple[str, ...] | None = attrs.field(
        default=None, converter=_as_names, validator=_names
    )
    """Names of the devices to use, such as ``("CUDA0",)``; None: all. ``("CPU",)``: no GPU."""

    load_mode: str = attrs.field(
        default="auto",
        validator=choice("auto", "none", "mmap", "mlock", "mmap+mlock", "direct_io"),
    )
    """How the file is read: mapped, locked in memory, directly; ``auto``: the backend chooses."""

    vocab_only: bool = attrs.field(default=False, validator=flag())
    """Load the vocabulary alone: the model tokenizes, and opens no session."""

    check_tensors: bool = attrs.field(default=False, validator=flag())
    """Look for invalid numbers in the weights while loading (slower)."""

    use_extra_bufts: bool = attrs.field(default=True, validator=flag())
    """Let the backend repack weights for this machine's kernels (faster, more memory)."""

    no_host: bool = attrs.field(default=False, validator=flag())
    """Keep no weights in host memory pinned for a GPU, so that repacked kernels can use them.
    llama.cpp: ``no_host``, default false."""

    lazy_mode: str = attrs.field(default="auto", validator=choice("off", "auto", "on"))
    """Read rows of very large tables from the mapped file when they are needed: never, if such a
    table is larger than 4 GiB, always. Has an effect on few architectures, and with ``mmap`` only.
    llama.cpp: ``lazy_mode``, default auto."""

    split_mode: str = attrs.field(default="layer", validator=choice("none", "layer", "row"))
    """How a model is divided among several GPUs: not at all (``main_gpu`` gets it), by whole
    layers, or by rows of its matrices. llama.cpp: ``split_mode``, default layer."""

    main_gpu: int = attrs.field(default=0, validator=integer(0, 1023))
    """With ``split_mode="none"``: which of the devices in use, counted from 0, gets the model.
    llama.cpp: ``main_gpu``, default 0."""

    tensor_split: tuple[float, ...] | None = attrs.field(
        default=None, converter=_as_names, validator=proportions
    )
    """Shares of the model for each device in use, in any unit, such as ``(3, 1)``; None: as the
    free memory of the devices suggests. llama.cpp: ``tensor_split``, default by memory."""

    tensor_devices: tuple[tuple[str, str], ...] = attrs.field(
        default=(), converter=as_pairs, validator=patterns
    )
    """Where the tensors whose names match a pattern are kept, whatever the rest says: a mapping
    from regular expressions (ECMAScript's, found anywhere in the name) to device names, such as
    ``{r"ffn_.*_exps": "CPU"}``; the first match counts. llama.cpp: ``tensor_buft_overrides``."""

    kv_overrides: tuple[tuple[str, int | float | bool | str], ...] = attrs.field(
        default=(), converter=as_pairs, validator=overrides
    )
    """Metadata of the file to replace, as a mapping such as ``{"llama.rope.freq_base": 1e6}``.
    The type of a value must be that of the key: ``int`` (64 bits), ``float``, ``bool``, or ``str``;
    keys and strings of at most 127 bytes. llama.cpp: ``kv_overrides``."""

    numa: str | None = attrs.field(
        default=None, validator=choice("distribute", "isolate", "numactl", optional=True)
    )
    """How threads and memory are spread over the nodes of a NUMA machine: over all nodes, on the
    node that the process started on, or as ``numactl`` says; None: left alone. It holds for the
    whole process, from the first model that asks for it on. llama.cpp: ``llama_numa_init``."""

    check_memory: bool = attrs.field(default=True, validator=flag())
    """Compare what the model and its context will need with what there is, and raise
    ``ModelMemoryError`` before anything is allocated; False: leave it to the system."""

    isolation: IsolationParams | None = attrs.field(
        default=None, converter=_as_isolation, validator=_isolation
    )
    """Run the backend in a process of its own: ``"process"``, or ``IsolationParams`` with limits;
    None: in this one. Needs ``headrace-subprocess``."""

    rpc_servers: tuple[str, ...] = attrs.field(
        default=(), converter=_as_names, validator=_addresses
    )
    """Addresses ``host:port`` of machines that run ``headrace rpc-server``: their memory and
    devices are used as GPUs of this one would be, in this order. Needs ``isolation``, because a
    lost server ends the process. llama.cpp: ``--rpc``."""

    def __attrs_post_init__(self) -> None:
        if self.rpc_servers and self.isolation is None:
            raise ParamsError(
                "ModelParams.rpc_servers needs ModelParams.isolation='process', got None: a server "
                "that is lost ends the process that uses it",
                hint="Pass isolation='process' too.",
            )
