"""``EngineParams``: what belongs to the native context that a model's sessions share."""

from __future__ import annotations

import attrs

from headrace.errors import ParamsError
from headrace.params.fields import choice, flag, integer, number, strict_names

CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
"""What keys and values can be kept as, largest first; the names are ggml's."""

DEFAULT_N_CTX = 4096
"""Tokens of a context whose length nobody asked for; fewer where the model has fewer."""

LOOKAHEAD = 4
"""Tokens that a stream may be ahead of its reader, if nobody said how many and steps are long."""

_QUANTIZED = CACHE_TYPES[3:]
_MAX_FLOAT = 3e38  # the native fields have 32 bits
_MIN_FLOAT = 1e-37


@strict_names
@attrs.frozen(kw_only=True)
class EngineParams:
    """What belongs to the native context: one engine per model, shared by its sessions.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    n_ctx: int | None = attrs.field(default=None, validator=integer(8, 2**31 - 1, optional=True))
    """Memory budget in tokens for all sessions together; None: the model's limit, at most 4096.
    Reproducible sessions have as much again for themselves, from the first of them on."""

    n_sequences: int = attrs.field(default=8, validator=integer(1, 256))
    """Sessions that can be resident in memory at the same time."""

    n_batch: int = attrs.field(default=2048, validator=integer(1, 2**20))
    """Most tokens in one native call."""

    n_ubatch: int = attrs.field(default=512, validator=integer(1, 2**20))
    """Most tokens computed at once inside a native call."""

    n_threads: int | None = attrs.field(default=None, validator=integer(1, 512, optional=True))
    """Threads for decoding, the same for every step. None: the physical cores this process may use,
    or fewer of them as long as fewer are faster, which is found out while they compute; not if
    ``n_threads_batch`` is given, nor for reproducible sessions."""

    n_threads_batch: int | None = attrs.field(
        default=None, validator=integer(1, 512, optional=True)
    )
    """Threads for prefill; None: the same as ``n_threads``."""

    flash_attention: bool | None = attrs.field(default=None, validator=flag(optional=True))
    """Use fused attention kernels; None: where the device supports them."""

    full_window: bool = attrs.field(default=False, validator=flag())
    """Keep the whole history of sliding-window layers: more memory, but any rewind is possible."""

    divided: bool = attrs.field(default=False, validator=flag())
    """Give each sequence ``n_ctx / n_sequences`` tokens of its own instead of sharing all of it. No
    session can have more than its part, and common beginnings are copied. Where attention looks at
    the cells of all who share, as on some devices, it is faster with many sessions at work."""

    lookahead: int | None = attrs.field(default=None, validator=integer(1, 256, optional=True))
    """Tokens a stream may be ahead of its reader while other streams drive the engine, and most
    that come at once; None: as many as are computed in some 20 ms, at least 4 and at most 256."""

    prepare_grammar: bool = attrs.field(default=False, validator=flag())
    """Make while loading what grammars need of the vocabulary, instead of at the first one: a
    second or two for 262,144 tokens, in which Python does nothing else."""

    cache_type_k: str = attrs.field(default="f16", validator=choice(*CACHE_TYPES))
    """What the keys of attention are kept as: fewer bits need less memory and are less exact.
    Quantized types need heads whose size is a multiple of 32.
    llama.cpp: ``type_k``, default f16."""

    cache_type_v: str = attrs.field(default="f16", validator=choice(*CACHE_TYPES))
    """The same for the values; quantized types need flash attention too, which is then used unless
    ``flash_attention`` is False. llama.cpp: ``type_v``, default f16."""

    offload_kqv: bool = attrs.field(default=True, validator=flag())
    """Keep the cache of offloaded layers, and compute their attention, on the GPU.
    llama.cpp: ``offload_kqv``, default true."""

    op_offload: bool = attrs.field(default=True, validator=flag())
    """Let the GPU compute large batches of layers whose weights are in host memory.
    llama.cpp: ``op_offload``, default true."""

    rope_scaling: str | None = attrs.field(
        default=None, validator=choice("none", "linear", "yarn", "longrope", optional=True)
    )
    """How positions beyond the training length are mapped (YaRN: Peng et al., arXiv:2309.00071);
    None: as the model's file says. llama.cpp: ``rope_scaling_type``, default unspecified."""

    rope_freq_base: float | None = attrs.field(
        default=None, validator=number(_MIN_FLOAT, _MAX_FLOAT, optional=True)
    )
    """Base of the rotary frequencies, such as 10000 (Su et al., arXiv:2104.09864); None: the
    model's. llama.cpp: ``rope_freq_base``, default 0 (the model's)."""

    rope_freq_scale: float | None = attrs.field(
        default=None, validator=number(1e-6, 1e6, optional=True)
    )
    """Factor of the rotary frequencies: 0.25 stretches the context to four times its length; None:
    the model's. llama.cpp: ``rope_freq_scale``, default 0 (the model's)."""

    yarn_ext_factor: float | None = attrs.field(
        default=None, validator=number(0, _MAX_FLOAT, optional=True)
    )
    """Mix of extrapolation and interpolation, 0: interpolation alone; None: the model's, else 1
    with ``rope_scaling="yarn"``. llama.cpp: ``yarn_ext_factor``, default −1 (the model's)."""

    yarn_attn_factor: float | None = attrs.field(
        default=None, validator=number(0, _MAX_FLOAT, optional=True)
    )
    """Factor of the magnitude of attention; None: the model's, else 1. With an extrapolation mix
    llama.cpp computes it from ``rope_freq_scale`` and uses no other. llama.cpp:
    ``yarn_attn_factor``, default −1 (the model's)."""

    yarn_beta_fast: float | None = attrs.field(
        default=None, validator=number(0, _MAX_FLOAT, optional=True)
    )
    """Rotations over the original context above which a dimension is extrapolated; None: the
    model's, else 32. llama.cpp: ``yarn_beta_fast``, default −1 (the model's)."""

    yarn_beta_slow: float | None = attrs.field(
        default=None, validator=number(0, _MAX_FLOAT, optional=True)
    )
    """Rotations below which a dimension is interpolated; None: the model's, else 1.
    llama.cpp: ``yarn_beta_slow``, default −1 (the model's)."""

    yarn_orig_ctx: int | None = attrs.field(
        default=None, validator=integer(1, 2**31 - 1, optional=True)
    )
    """Context length that the model was trained for before it was stretched, in tokens; None: the
    model's. llama.cpp: ``yarn_orig_ctx``, default 0 (the model's)."""

    def context_length(self, n_ctx_train: int) -> int:
        """Tokens of the context: what was asked for, else the model's own, at most 4096.

        Args:
            n_ctx_train: What the model was trained for; 0 if that is not known.
        """
        return self.n_ctx or min(n_ctx_train or DEFAULT_N_CTX, DEFAULT_N_CTX)

    def __attrs_post_init__(self) -> None:
        """Refuse what excludes each other."""
        if self.cache_type_v in _QUANTIZED and self.flash_attention is False:
            raise ParamsError(
                f"EngineParams.cache_type_v={self.cache_type_v!r} needs flash attention, "
                "and EngineParams.flash_attention is False",
                hint="Leave flash_attention out, or keep the values as 'f16', 'bf16' or 'f32'.",
            )
