"""Quantizing a model file: from a request to llama.cpp's parameters, and from its log to errors."""

from __future__ import annotations

import os
import re
from typing import Any

from headrace.backend.abilities import QuantizeRequest
from headrace.errors import HeadraceError, ModelFormatError, ModelLoadCancelledError, ParamsError
from headrace_llamacpp import callbacks, logs
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import error_of
from headrace_llamacpp.files import check_model_file
from headrace_llamacpp.threads import default_threads

# Those that need a matrix of importances, which headrace cannot make, are left out.
TYPES: dict[str, int] = {
    "F32": lib.LLAMA_FTYPE_ALL_F32,
    "F16": lib.LLAMA_FTYPE_MOSTLY_F16,
    "BF16": lib.LLAMA_FTYPE_MOSTLY_BF16,
    "Q8_0": lib.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q6_K": lib.LLAMA_FTYPE_MOSTLY_Q6_K,
    "Q5_K_M": lib.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q5_K_S": lib.LLAMA_FTYPE_MOSTLY_Q5_K_S,
    "Q5_1": lib.LLAMA_FTYPE_MOSTLY_Q5_1,
    "Q5_0": lib.LLAMA_FTYPE_MOSTLY_Q5_0,
    "Q4_K_M": lib.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "Q4_K_S": lib.LLAMA_FTYPE_MOSTLY_Q4_K_S,
    "Q4_1": lib.LLAMA_FTYPE_MOSTLY_Q4_1,
    "Q4_0": lib.LLAMA_FTYPE_MOSTLY_Q4_0,
    "IQ4_NL": lib.LLAMA_FTYPE_MOSTLY_IQ4_NL,
    "IQ4_XS": lib.LLAMA_FTYPE_MOSTLY_IQ4_XS,
    "MXFP4_MOE": lib.LLAMA_FTYPE_MOSTLY_MXFP4_MOE,
    "Q3_K_L": lib.LLAMA_FTYPE_MOSTLY_Q3_K_L,
    "Q3_K_M": lib.LLAMA_FTYPE_MOSTLY_Q3_K_M,
    "Q3_K_S": lib.LLAMA_FTYPE_MOSTLY_Q3_K_S,
    "IQ3_M": lib.LLAMA_FTYPE_MOSTLY_IQ3_M,
    "IQ3_S": lib.LLAMA_FTYPE_MOSTLY_IQ3_S,
    "Q2_K": lib.LLAMA_FTYPE_MOSTLY_Q2_K,
    "TQ2_0": lib.LLAMA_FTYPE_MOSTLY_TQ2_0,
    "TQ1_0": lib.LLAMA_FTYPE_MOSTLY_TQ1_0,
}

_REQUANTIZES = re.compile(r"requantizing from type (\w+) is disabled")
_NEEDS_MATRIX = re.compile(r"imatrix|importance matrix", re.IGNORECASE)


def quantize(request: QuantizeRequest) -> None:
    """Write a quantized copy; see ``headrace.quantize_model``."""
    source = check_model_file(os.fspath(request.source))
    user = ffi.new_handle(request.progress)
    report = new_report()
    callbacks.take_error()
    lib.hr_quantize(
        os.fsencode(source),
        os.fsencode(request.target),
        _native_params(request),
        lib.headrace_progress,
        user,
        report,
    )
    raised = callbacks.take_error()
    if raised is not None:
        logs.drain()
        raise raised
    if report.status == lib.HR_LOAD_CANCELLED:
        raise error_of(
            report,
            Operation.FILE,
            kind=ModelLoadCancelledError,
            message="the quantization was cancelled",
        )
    if report.status != lib.HR_OK:
        raise _failure(report, request)
    logs.drain()
    if request.progress is not None:
        request.progress(1.0)


def _native_params(request: QuantizeRequest) -> Any:
    native = ffi.new("llama_model_quantize_params *", lib.llama_model_quantize_default_params())
    native.ftype = TYPES[request.type]
    native.nthread = request.n_threads or default_threads()
    native.allow_requantize = request.allow_requantize
    native.quantize_output_tensor = not request.keep_output
    native.pure = request.pure
    return native


def _failure(report: Any, request: QuantizeRequest) -> HeadraceError:
    reason = "; ".join(logs.complaints(report.call_id)) or "llama.cpp gives no reason"
    name = f"the model file {os.fspath(request.source)!r}"
    again = _REQUANTIZES.search(reason)
    if again is not None:
        return error_of(
            report,
            Operation.FILE,
            kind=ParamsError,
            message=f"{name} is quantized already (some of its tensors are {again[1]})",
            hint="Start from one with 16-bit weights; or pass allow_requantize=True, and lose "
            "quality twice.",
        )
    if _NEEDS_MATRIX.search(reason):
        return error_of(
            report,
            Operation.FILE,
            kind=ParamsError,
            message=f"the type {request.type} needs a matrix of importances for this model",
            hint="Choose a type that begins with Q.",
        )
    return error_of(
        report,
        Operation.FILE,
        kind=ModelFormatError,
        message=f"{name} cannot be quantized to {request.type}: {reason}",
    )
