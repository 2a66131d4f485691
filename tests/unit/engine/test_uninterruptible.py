"""Devices that cannot be interrupted: a cancel takes effect with the end of a short step."""

from __future__ import annotations

import pytest

from headrace.engine.fairness import CHUNK_SECONDS, MIN_CHUNK, PREFILLS_ONLY, Limits

PROMPT = "x" * 1000


def test_a_lone_prefill_is_bounded_in_time():
    """As many tokens as fit the time that is allowed; all of them where it can be interrupted."""
    limits = Limits(n_batch=2048, interruptible=False)
    assert limits.prefill(0, 1) == MIN_CHUNK
    limits.learn(100, 100 * 0.001)
    assert limits.prefill(0, 1) == pytest.approx(CHUNK_SECONDS * PREFILLS_ONLY / 0.001, abs=1)
    limits.learn(2048, 1e-9)
    limits.seconds_per_token = 1e-9
    assert limits.prefill(0, 1) == 2048
    assert Limits(n_batch=2048).prefill(0, 1) == 2048


def test_a_cancel_in_a_long_prefill_ends_with_the_running_chunk(fake):
    """Of a thousand tokens, some chunks are run; after the cancel not one more."""
    chunks = []
    streams = []

    def cancel_in_the_third(step_id, rows):
        chunks.append(len(rows[0].tokens))
        if len(chunks) == 3:
            streams[0].cancel()

    engine = fake(interruptible=False, prefill_delay=0.0005, on_step=cancel_in_the_third)
    streams.append(engine.stream(PROMPT))
    assert list(streams[0]) == []
    assert streams[0].result.stop_reason == "cancelled"
    assert len(chunks) == 3
    assert sum(chunks) < len(PROMPT)


def test_the_chunks_write_what_one_batch_writes(fake):
    """Cut or not, the text is the same."""
    cut, whole = fake(interruptible=False), fake()
    assert cut.tokens(PROMPT) == whole.tokens(PROMPT)
