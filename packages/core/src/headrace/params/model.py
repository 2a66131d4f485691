"""``ModelParams``: what is loaded and where."""

from __future__ import annotations

from typing import Any

import attrs

from headrace.params.fields import choice, flag, integer, refuse, strict_names


def _names(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    named = isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)
    if not value or not named:
        refuse(instance, field, value, "None or a non-empty sequence of device names")


def _as_names(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


@strict_names
@attrs.frozen(kw_only=True)
class ModelParams:
    """What is loaded and where.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    n_gpu_layers: int | None = attrs.field(default=None, validator=integer(0, optional=True))
    """Layers kept on the GPU; None: as many as fit the device, 0: none. Ignored without a GPU."""

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
