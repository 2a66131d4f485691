"""How likely given tokens are: one native call for as many as there is room for logits."""

from __future__ import annotations

import sys
from typing import Any

from headrace.protocols import ScoreOutcome, ScoreRow, StepStatus
from headrace.results import TokenLogprob
from headrace_llamacpp import callbacks, logs
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import error_of, meaning_of

_QUIETLY = 10
"""Level of what llama.cpp logs about a call that ended as it may: ``logging.DEBUG``."""


def score(context: Any, step_id: int, row: ScoreRow) -> ScoreOutcome:
    """Run a row on an ``hr_context``; see ``ScoringDecoder.score``."""
    n_places = 1 + row.n_top
    native = ffi.new(
        "hr_row *",
        {
            "sequence": row.sequence,
            "position": row.position,
            "n_tokens": len(row.tokens),
            "n_top": row.n_top,
        },
    )
    targets = row.targets or [-1] * len(row.tokens)
    if len(targets) != len(row.tokens):
        raise ValueError(f"{len(targets)} targets for {len(row.tokens)} tokens")
    out = ffi.new("hr_logprob[]", max(1, len(row.targets) * n_places))
    report = new_report()
    native.length = row.position  # what memory holds if the call is refused
    check_signals = callbacks.in_main_thread()
    lib.hr_score(
        context,
        step_id,
        native,
        ffi.new("int32_t[]", list(row.tokens)),
        ffi.new("int32_t[]", list(targets)),
        out,
        lib.headrace_check if check_signals else ffi.NULL,
        ffi.NULL,
        report,
    )
    if check_signals:
        raised = callbacks.take_error()
        if raised is not None:
            raise raised
    result = meaning_of(report.status).result
    if not isinstance(result, StepStatus):
        error = error_of(report, Operation.STEP)
        return ScoreOutcome(StepStatus.FAILED, native.length, error=error)
    if logs.pending():
        logs.drain(_QUIETLY if result is not StepStatus.DONE else sys.maxsize)
    if result is not StepStatus.DONE:
        return ScoreOutcome(result, native.length)
    return ScoreOutcome(result, native.length, _read(out, len(row.targets), n_places))


def _read(out: Any, count: int, n_places: int) -> list[TokenLogprob]:
    pairs = [(each.token, each.logprob) for each in ffi.unpack(out, count * n_places)]
    found = []
    for at in range(0, len(pairs), n_places):
        top = tuple(pair for pair in pairs[at + 1 : at + n_places] if pair[0] >= 0)
        found.append(TokenLogprob(*pairs[at], top))
    return found
