"""Settings, one frozen class for each owner.

``ModelParams`` say what is loaded and where, ``EngineParams`` what belongs to
the native context that all sessions of a model share, ``SessionParams`` what
belongs to one conversation, ``SamplingParams`` what belongs to one generation.
Values are checked when an object is made, so that nothing invalid reaches a
backend; every error names the field, the value and what is allowed.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import attrs

from headrace.errors import ParamsError

MAX_SEED = 2**32 - 2
"""Largest seed. 2³²−1 means "draw one at random" to llama.cpp."""

_T = TypeVar("_T")
_Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def check_names(owner: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Raise ``ParamsError`` for the first name that ``owner`` does not have.

    Raises:
        ParamsError: With the closest allowed name as "did you mean".
    """
    known = tuple(allowed)
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
            raise ParamsError(f"{owner} has no parameter {name!r}", hint=hint)


def _strict_names(cls: type[_T]) -> type[_T]:
    """Turn the ``TypeError`` for an unknown keyword into a ``ParamsError``."""
    names = tuple(field.name for field in attrs.fields(cls))  # type: ignore[arg-type]
    generated = cls.__init__

    def __init__(self: _T, **values: Any) -> None:
        check_names(cls.__name__, values, names)
        generated(self, **values)

    __init__.__wrapped__ = generated  # type: ignore[attr-defined]  # keeps the signature in help()
    cls.__init__ = __init__  # type: ignore[assignment]
    return cls


def _refuse(instance: Any, field: attrs.Attribute[Any], value: Any, allowed: str) -> None:
    raise ParamsError(
        f"{type(instance).__name__}.{field.name} must be {allowed}, got {value!r}",
    )


def integer(low: int, high: int | None = None, *, optional: bool = False) -> _Validator:
    """Validator for whole numbers in ``low … high``; ``bool`` is not one."""
    allowed = f"a whole number ≥ {low}" + (f" and ≤ {high}" if high is not None else "")
    if optional:
        allowed += ", or None"

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            _refuse(instance, field, value, allowed)

    return validate


def number(
    low: float, high: float = math.inf, *, above: bool = False, note: str = ""
) -> _Validator:
    """Validator for finite numbers in ``low … high`` (``low`` itself out if ``above``)."""
    allowed = f"a finite number {'>' if above else '≥'} {low:g}"
    if high != math.inf:
        allowed += f" and ≤ {high:g}"
    allowed += note

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if (
            not real
            or not math.isfinite(value)
            or value < low
            or (above and value == low)
            or value > high
        ):
            _refuse(instance, field, value, allowed)

    return validate


def choice(*values: str) -> _Validator:
    """Validator for one of a few words."""
    allowed = "one of " + ", ".join(map(repr, values))

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value not in values:
            _refuse(instance, field, value, allowed)

    return validate


def flag(*, optional: bool = False) -> _Validator:
    """Validator for ``True`` and ``False`` (and ``None`` if optional)."""

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if not (isinstance(value, bool) or (optional and value is None)):
            _refuse(instance, field, value, "True or False" + (", or None" if optional else ""))

    return validate


def _names(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    named = isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)
    if not value or not named:
        _refuse(instance, field, value, "None or a non-empty sequence of device names")


def _as_names(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


@_strict_names
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


@_strict_names
@attrs.frozen(kw_only=True)
class EngineParams:
    """What belongs to the native context: one engine per model, shared by its sessions.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    n_ctx: int | None = attrs.field(default=None, validator=integer(8, 2**31 - 1, optional=True))
    """Memory budget in tokens for all sessions together; None: the model's limit, at most 4096."""

    n_sequences: int = attrs.field(default=8, validator=integer(1, 256))
    """Sessions that can be resident in memory at the same time."""

    n_batch: int = attrs.field(default=2048, validator=integer(1, 2**20))
    """Most tokens in one native call."""

    n_ubatch: int = attrs.field(default=512, validator=integer(1, 2**20))
    """Most tokens computed at once inside a native call."""

    n_threads: int | None = attrs.field(default=None, validator=integer(1, 512, optional=True))
    """Threads for decoding; None: the physical cores this process may use."""

    n_threads_batch: int | None = attrs.field(
        default=None, validator=integer(1, 512, optional=True)
    )
    """Threads for prefill; None: the same as ``n_threads``."""

    flash_attention: bool | None = attrs.field(default=None, validator=flag(optional=True))
    """Use fused attention kernels; None: where the device supports them."""

    full_window: bool = attrs.field(default=False, validator=flag())
    """Keep the whole history of sliding-window layers: more memory, but any rewind is possible."""

    divided: bool = attrs.field(default=False, validator=flag())
    """Give each sequence ``n_ctx / n_sequences`` tokens of its own instead of sharing all of it:
    faster with many sessions at work, and no session can have more than its part."""

    lookahead: int = attrs.field(default=4, validator=integer(1, 64))
    """Tokens a stream may be ahead of its reader while other streams drive the engine."""


@_strict_names
@attrs.frozen(kw_only=True)
class SessionParams:
    """What belongs to one conversation.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    reproducible: bool = attrs.field(default=False, validator=flag())
    """The same tokens for the same seed, params and history: never batched with other sessions."""

    on_context_full: str = attrs.field(default="stop", validator=choice("stop", "shift"))
    """What happens when the context is full: the generation ends (``stop``), or the oldest
    tokens are forgotten and it goes on (``shift``: where memory can, and not reproducibly)."""

    keep: int = attrs.field(default=0, validator=integer(0, 2**31 - 1))
    """With ``shift``: tokens at the beginning of the history that are never forgotten."""

    def __attrs_post_init__(self) -> None:
        """Refuse what excludes each other."""
        if self.reproducible and self.on_context_full == "shift":
            raise ParamsError(
                "SessionParams.on_context_full must be 'stop' for a reproducible session, "
                "got 'shift': what was forgotten cannot be computed again"
            )


@_strict_names
@attrs.frozen(kw_only=True)
class SamplingParams:
    """What turns logits into a token, for one generation.

    The defaults are llama.cpp's.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    temperature: float = attrs.field(
        default=0.8, validator=number(0, note=" (0 takes the most likely token)")
    )
    """Divides the logits: below 1 bolder, above 1 more even; 0 is greedy."""

    top_k: int = attrs.field(default=40, validator=integer(0, 2**31 - 1))
    """Keep the k most likely tokens; 0: all (Holtzman et al., arXiv:1904.09751)."""

    top_p: float = attrs.field(default=0.95, validator=number(0, 1, above=True))
    """Keep the smallest set whose probabilities add up to p; 1: all (arXiv:1904.09751)."""

    min_p: float = attrs.field(default=0.05, validator=number(0, 1))
    """Drop tokens less likely than this share of the most likely one; 0: none."""

    repeat_penalty: float = attrs.field(default=1.0, validator=number(0, above=True))
    """Divides the logits of recent tokens (Keskar et al., arXiv:1909.05858); 1: off."""

    repeat_last_n: int = attrs.field(default=64, validator=integer(0, 2**20))
    """How many recent tokens ``repeat_penalty`` looks at."""

    seed: int | None = attrs.field(default=None, validator=integer(0, MAX_SEED, optional=True))
    """Seed of the draw, 0 … 2³²−2; None: drawn, and reported in the receipt."""
