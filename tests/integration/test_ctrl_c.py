"""Ctrl-C in the thread that drives, in the middle of a long prompt."""

from __future__ import annotations

import signal
import threading

import pytest

import headrace
from headrace import EngineParams, SamplingParams, StopReason
from tests.support import gemma

GREEDY = SamplingParams(temperature=0.0)


@pytest.fixture(scope="module")
def model():
    """Gemma, whose prompts take long enough to be interrupted."""
    with headrace.load_model(
        gemma.path(), backend="llamacpp", engine=EngineParams(n_ctx=4096, n_threads=2)
    ) as model:
        yield model


def press_when_a_step_runs(session):
    """Send SIGINT to the main thread once its next native call is under way."""
    decoder = session._engine.decoder
    step = decoder.step
    entered = threading.Event()

    def entering(*arguments, **keywords):
        del decoder.step
        entered.set()
        return step(*arguments, **keywords)

    def press():
        entered.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    decoder.step = entering
    thread = threading.Thread(target=press)
    thread.start()
    return thread


def test_it_ends_the_prefill_and_leaves_the_session_right(model):
    """Far from all of the prompt was computed, and the session goes on from what was."""
    with model.open_session() as session:
        first = session.complete("The capital of France is", sampling=GREEDY, max_tokens=4)
        before = session.tokens
        prompt = list(range(1000, 4000))
        stream = session.generate(prompt, sampling=GREEDY, max_tokens=4)
        thread = press_when_a_step_runs(session)
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        thread.join()
        assert list(stream) == []
        assert stream.result.stop_reason is StopReason.CANCELLED
        now = session.tokens
        assert now[: len(before)] == before
        assert len(now) < len(before) + len(prompt)
        session.rewind(to=len(before) - 4)
        assert session.complete(None, sampling=GREEDY, max_tokens=4).tokens == first.tokens


def test_the_neighbours_of_an_interrupted_driver_go_on(model):
    """Another thread takes over and gets all of its tokens."""
    with model.open_session() as session, model.open_session() as other:
        done = []
        stream = session.generate(list(range(1000, 3000)), sampling=GREEDY)
        press = press_when_a_step_runs(session)
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        press.join()
        reader = threading.Thread(
            target=lambda: done.append(
                other.complete("Once upon", sampling=GREEDY, max_tokens=8, ignore_eog=True)
            )
        )
        reader.start()
        reader.join()
        assert len(done[0].tokens) == 8
        stream.close()
