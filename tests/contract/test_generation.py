"""Streams, their ends and their results."""

from __future__ import annotations

import pytest

import headrace
from headrace import (
    BusyError,
    ContextFullError,
    SamplingParams,
    SessionParams,
    StopReason,
    StreamConsumedError,
)


def test_the_chunks_make_the_result(session, greedy):
    """Text and tokens of the chunks are those of the result, and nothing is empty-handed."""
    stream = session.generate("Once upon a time", sampling=greedy, max_tokens=12, ignore_eog=True)
    chunks = list(stream)
    done = stream.result
    assert "".join(chunk.text for chunk in chunks) == done.text
    assert tuple(token for chunk in chunks for token in chunk.tokens) == done.tokens
    assert all(chunk.tokens or chunk.text for chunk in chunks)
    assert len(done.tokens) == 12
    assert done.stop_reason is StopReason.MAX_TOKENS


def test_the_usage_counts_prompt_and_completion(model, session, greedy):
    """Counts are those of this call."""
    done = session.complete("abc", sampling=greedy, max_tokens=3, ignore_eog=True)
    assert done.usage.prompt_tokens == len(model.tokenize("abc"))
    assert done.usage.completion_tokens == 3
    assert done.usage.total_tokens == done.usage.prompt_tokens + 3


def test_the_timings_add_up(session, greedy):
    """The first token comes out of the prefill, the others out of decode steps."""
    timings = session.complete("abcdef", sampling=greedy, max_tokens=5, ignore_eog=True).timings
    assert timings.prefill_tokens == len(session.tokens) - 5
    assert timings.decode_tokens == 4
    assert 0 < timings.first_token_seconds <= timings.total_seconds
    assert timings.prefill_rate > 0
    assert timings.decode_rate > 0


def test_a_greedy_generation_repeats(target, greedy):
    """The same call on the same history gives the same tokens."""
    with target.load() as model:
        runs = []
        for _ in range(2):
            with model.open_session(SessionParams(reproducible=True)) as session:
                runs.append(session.complete("Hello", sampling=greedy, max_tokens=16).tokens)
    assert runs[0] == runs[1]


def test_the_same_seed_gives_the_same_tokens(target):
    """And the receipt of a drawn seed is enough to repeat a run."""
    with target.load() as model:

        def run(seed):
            with model.open_session(SessionParams(reproducible=True)) as session:
                sampling = SamplingParams(temperature=1.5, top_k=0, top_p=1, min_p=0, seed=seed)
                return session.complete("Hi", sampling=sampling, max_tokens=24, ignore_eog=True)

        drawn = run(None)
        assert drawn.receipt.reproducible
        assert run(drawn.receipt.seed).tokens == drawn.tokens
        assert len({run(seed).tokens for seed in range(4)}) > 1


def test_a_receipt_says_why_a_run_may_differ(session, greedy):
    """A session that may be batched with others promises nothing."""
    receipt = session.complete("x", sampling=greedy, max_tokens=1).receipt
    assert not receipt.reproducible
    assert "reproducible=True" in receipt.reason
    assert receipt.backend
    assert receipt.build


def test_a_stop_string_ends_the_text_before_it(model, session, greedy):
    """Wherever it falls in the tokens."""
    whole = session.complete("Hello", sampling=greedy, max_tokens=12, ignore_eog=True).text
    assert len(whole) >= 4
    stop = whole[2:4]
    with model.open_session() as fresh:
        stopped = fresh.complete(
            "Hello", sampling=greedy, max_tokens=12, ignore_eog=True, stop=[stop]
        )
    assert stopped.text == whole[: whole.index(stop)]
    assert stopped.stop_reason is StopReason.STOP_STRING


def test_max_tokens_zero_only_computes_the_prompt(session, greedy):
    """Going on later finds the prompt in memory."""
    done = session.complete("A prompt to warm", max_tokens=0)
    assert (done.text, done.tokens) == ("", ())
    assert done.stop_reason is StopReason.MAX_TOKENS
    warmed = session.tokens
    later = session.complete(None, sampling=greedy, max_tokens=2, ignore_eog=True)
    assert later.usage.cached_tokens == len(warmed) - 1
    assert session.tokens == warmed + list(later.tokens)


def test_the_context_being_full_is_an_end(target, greedy):
    """Not an error: what was written is there."""
    with target.load(n_ctx=256) as model, model.open_session() as session:
        done = session.complete("abc", sampling=greedy, ignore_eog=True)
        assert done.stop_reason is StopReason.CONTEXT_FULL
        # The last token needs no cell of its own.
        assert len(session.tokens) == 256 + 1


def test_a_prompt_that_does_not_fit_is_an_error(target, greedy):
    """The session stays usable."""
    with target.load(n_ctx=256) as model, model.open_session() as session:
        with pytest.raises(ContextFullError, match=r"EngineParams\.n_ctx"):
            session.generate([1] * 300)
        assert session.tokens == []
        assert session.complete("abc", sampling=greedy, max_tokens=2, ignore_eog=True).tokens


def test_a_second_generation_is_refused_while_one_runs(session, greedy):
    """The message names the way out."""
    stream = session.generate("abc", sampling=greedy, ignore_eog=True)
    next(stream)
    with pytest.raises(BusyError, match=r"stream\.cancel\(\)"):
        session.generate("def")
    stream.cancel()
    session.generate("def", max_tokens=1).close()


def test_there_is_no_result_before_the_end(session, greedy):
    """The message says how to get one."""
    stream = session.generate("abc", sampling=greedy, max_tokens=3, ignore_eog=True)
    with pytest.raises(BusyError, match="end"):
        _ = stream.result
    list(stream)
    assert len(stream.result.tokens) == 3


def test_a_stream_is_read_once(session, greedy):
    """A second loop over it is an error, not silence."""
    stream = session.generate("abc", sampling=greedy, max_tokens=3, ignore_eog=True)
    list(stream)
    with pytest.raises(StreamConsumedError):
        list(stream)


def test_a_time_out_of_zero_ends_at_once(session):
    """With what there is: nothing."""
    stream = session.generate("abc", timeout=0.0)
    assert list(stream) == []
    assert stream.result.stop_reason is StopReason.TIMED_OUT


def test_prompts_may_be_token_ids(model, session, greedy):
    """A text is the same prompt as its ids."""
    ids = model.tokenize("Hello there")
    by_ids = session.complete(ids, sampling=greedy, max_tokens=6, ignore_eog=True)
    assert session.tokens[: len(ids)] == ids
    with model.open_session() as other:
        by_text = other.complete("Hello there", sampling=greedy, max_tokens=6, ignore_eog=True)
        assert other.tokens[: len(ids)] == ids
    assert by_ids.usage.prompt_tokens == by_text.usage.prompt_tokens


def test_statistics_tell_what_a_stream_does(session, greedy):
    """A stream that is read alone never waits and never runs ahead."""
    with session.generate("abc", sampling=greedy, max_tokens=4, ignore_eog=True) as stream:
        next(stream)
        now = stream.statistics()
        assert now.delivered_tokens >= 1
        assert now.steps >= 1
        assert now.waits == 0
        assert now.buffered_tokens == 0


def test_the_model_tells_its_limits_and_its_kind(model):
    """Everything in the info is filled in."""
    info = model.info
    assert info.n_vocab > 256
    assert info.backend == model.info.backend
    assert headrace.Capability.GENERATE in model.capabilities
