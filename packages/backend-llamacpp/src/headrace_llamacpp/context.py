"""Opening a native context: from ``EngineParams`` to an ``hr_context``."""

from __future__ import annotations

import re
from typing import Any

import attrs

from headrace.errors import ModelMemoryError, ParamsError
from headrace.params import EngineParams
from headrace.params.speculation import MAX_DRAFT
from headrace.protocols import DecoderInfo
from headrace_llamacpp import logs
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check, error_of
from headrace_llamacpp.handles import Handle
from headrace_llamacpp.threads import adapt_threads, adapts, default_threads
from headrace_llamacpp.traits import Traits

WIDTH_MULTIPLE = 4
"""ggml's CPU kernels compute a token of a batch in one way if it is alone, in another in blocks of
four, and in a third beside these. In batches of one size that is a multiple of four, each token is
computed in the same way wherever it stands."""
MAX_MORE = 127
"""Tokens of a row that a step goes on to, beyond the first: as many as the smallest models write in
the time that a step may last."""
_NO_MEMORY = re.compile(r"(unable|failed) to allocate|out of memory|bad_alloc")
_CACHE_TYPE = re.compile(
    r"([KV]) cache type|does not support different (K) |[Qq]uantized (V) cache"
)
_FLASH_ATTENTION = {
    None: lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
    False: lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    True: lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
}
_CACHE_TYPES = {
    "f32": lib.GGML_TYPE_F32,
    "f16": lib.GGML_TYPE_F16,
    "bf16": lib.GGML_TYPE_BF16,
    "q8_0": lib.GGML_TYPE_Q8_0,
    "q5_1": lib.GGML_TYPE_Q5_1,
    "q5_0": lib.GGML_TYPE_Q5_0,
    "q4_1": lib.GGML_TYPE_Q4_1,
    "q4_0": lib.GGML_TYPE_Q4_0,
    "iq4_nl": lib.GGML_TYPE_IQ4_NL,
}
_ROPE_SCALING = {
    "none": lib.LLAMA_ROPE_SCALING_TYPE_NONE,
    "linear": lib.LLAMA_ROPE_SCALING_TYPE_LINEAR,
    "yarn": lib.LLAMA_ROPE_SCALING_TYPE_YARN,
    "longrope": lib.LLAMA_ROPE_SCALING_TYPE_LONGROPE,
}
_OF_THE_MODEL = (
    "rope_freq_base",
    "rope_freq_scale",
    "yarn_ext_factor",
    "yarn_attn_factor",
    "yarn_beta_fast",
    "yarn_beta_slow",
    "yarn_orig_ctx",
)
"""Fields with the same name here and there, whose native default means "as the model says"."""


def open_context(
    model: Handle, params: EngineParams, traits: Traits, n_ctx_train: int, *, on_cpu: bool
) -> tuple[Handle, DecoderInfo]:
    """A context of a model, and what it can do.

    Raises:
        ModelMemoryError: If its memory cannot be had.
        ModelLoadError: If llama.cpp refuses for another reason.
    """
    # As with a load: the handle is there first, and frees what came of it.
    handle = Handle(lib.hr_context_delete, lib.hr_context_new())
    # One sequence that is never moved has the same cells whatever was there before.
    # Flash attention is divided among the threads, so their number has to stay too.
    unaffected = params.n_sequences == 1 and traits.n_swa == 0 and not adapts(params)
    n_ctx = params.context_length(n_ctx_train)
    native = native_params(params, n_ctx)
    info = ffi.new("hr_context_info *")
    report = new_report()
    lib.hr_context_open(handle.pointer, model.pointer, native, traits.whole_only, info, report)
    if report.status == lib.HR_CONTEXT_FAILED:
        raise open_error(report, n_ctx)
    check(report, Operation.OPEN)
    adapt_threads(handle, params)
    logs.drain()
    return handle, DecoderInfo(
        # The library rounds up; the caller's number is the one that is kept to.
        n_ctx=min(n_ctx, info.n_ctx),
        n_ctx_sequence=min(n_ctx, info.n_ctx_seq),
        n_sequences=info.n_seq_max,
        n_batch=info.n_batch,
        truncation=traits.truncation(full_window=params.full_window),
        can_copy=True,
        can_shift=info.can_shift and traits.can_shift(full_window=params.full_window),
        interruptible=on_cpu,
        max_draft=0 if traits.whole_only else _max_draft(info, lib.hr_score_limit(handle.pointer)),
        width_multiple=WIDTH_MULTIPLE if on_cpu else 0,
        max_more=0 if traits.whole_only else MAX_MORE,
        unaffected=unaffected,
        n_apart=0 if unaffected else 1,
        n_threads=native.n_threads,
        threads_vary=adapts(params),
    )


def apart_params(params: EngineParams, info: DecoderInfo) -> EngineParams:
    """The settings of a context that one sequence has for itself.

    A window is kept whole there: in a memory of its length cells are used again, and where
    they lie depends on what was forgotten. And the number of threads is one that stays.
    """
    return attrs.evolve(
        params,
        n_ctx=info.n_ctx_sequence,
        n_sequences=1,
        n_threads=info.n_threads,
        divided=False,
        full_window=True,
    )


def _max_draft(info: Any, n_outputs: int) -> int:
    """Tokens of drafts in one step, all of them with logits and in one micro-batch."""
    limits = (MAX_DRAFT, info.n_batch - 1, info.n_ubatch - 1, n_outputs - info.n_seq_max)
    return int(max(0, min(limits)))


def native_params(params: EngineParams, n_ctx: int) -> Any:
    """``llama_context_params`` of the settings."""
    native = ffi.new("struct llama_context_params *", lib.llama_context_default_params())
    native.n_ctx = n_ctx
    native.n_batch = params.n_batch
    native.n_ubatch = min(params.n_ubatch, params.n_batch)
    native.n_seq_max = params.n_sequences
    native.n_threads = params.n_threads or default_threads()
    native.n_threads_batch = params.n_threads_batch or native.n_threads
    native.flash_attn_type = _FLASH_ATTENTION[params.flash_attention]
    native.swa_full = params.full_window
    # One memory for all sequences: any of them may use all of it, and prefixes are shared.
    native.kv_unified = not params.divided
    native.no_perf = True
    native.type_k = _CACHE_TYPES[params.cache_type_k]
    native.type_v = _CACHE_TYPES[params.cache_type_v]
    native.offload_kqv = params.offload_kqv
    native.op_offload = params.op_offload
    if params.rope_scaling is not None:
        native.rope_scaling_type = _ROPE_SCALING[params.rope_scaling]
    for name in _OF_THE_MODEL:
        value = getattr(params, name)
        if value is not None:
            setattr(native, name, value)
    return native


def open_error(report: Any, n_ctx: int) -> Exception:
    """What to raise where llama.cpp refused to make a context: the reason is in its log."""
    reason = "; ".join(logs.complaints(report.call_id)) or "llama.cpp gives no reason"
    said = f"no context of {n_ctx} tokens could be made: {reason}"
    misfit = _CACHE_TYPE.search(reason)
    if misfit:
        which = next(filter(None, misfit.groups())).lower()
        return ParamsError(
            f"EngineParams.cache_type_{which} does not suit the model: {reason}",
            hint="Choose 'f16', 'bf16' or 'f32'; for some models both must be the same.",
            backend="llamacpp",
        )
    if _NO_MEMORY.search(reason):
        hint = "Lower EngineParams.n_ctx or n_sequences."
        return error_of(report, Operation.OPEN, kind=ModelMemoryError, message=said, hint=hint)
    return error_of(report, Operation.OPEN, message=said)
