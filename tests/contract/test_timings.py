"""Where the time of a generation goes."""

from __future__ import annotations

from headrace import SamplingParams


def test_sampling_is_a_part_of_prefill_and_decode(model, session):
    """Choosing tokens happens within their steps; the fake does not measure it."""
    done = session.complete("Once upon a time", sampling=SamplingParams(seed=1), max_tokens=20)
    timings = done.timings
    steps = timings.prefill_seconds + timings.decode_seconds
    assert 0 <= timings.sample_seconds <= steps <= timings.total_seconds
    assert (timings.sample_seconds > 0) == (model.info.backend != "fake")


def test_nothing_is_sampled_where_no_token_is_wanted(session):
    """A prefill alone."""
    done = session.complete("Once upon a time", max_tokens=0)
    assert done.timings.prefill_seconds > 0
    assert done.timings.sample_seconds == 0
