"""``EngineParams``: what belongs to the native context that a model's sessions share."""

from __future__ import annotations

import attrs

from headrace.params.fields import flag, integer, strict_names


@strict_names
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
