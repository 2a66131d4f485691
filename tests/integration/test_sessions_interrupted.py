"""Interrupts under whole sessions: the engine rebuilds what a step lost.

In reproducible mode the tokens must be those of an undisturbed session, because
what is rebuilt is computed with the same cuts.
"""

from __future__ import annotations

import random

import pytest

import headrace
from headrace import BusyError, EngineParams, SamplingParams, SessionParams, StopReason
from headrace.protocols import StepStatus
from headrace_llamacpp._native import lib
from tests.support import tiny_gguf

GREEDY = SamplingParams(temperature=0.0)
REPRODUCIBLE = SessionParams(reproducible=True)
PROMPT = "It was a dark and stormy night; the rain fell in torrents. " * 3
ENGINE = EngineParams(n_ctx=512, n_batch=64, n_ubatch=32, n_threads=1)


@pytest.fixture(params=["attention", "window", "recurrent"])
def model(request):
    """A tiny model of each kind of memory."""
    with headrace.load_model(
        tiny_gguf.path(request.param), backend="llamacpp", engine=ENGINE
    ) as model:
        yield model


class EndingStep:
    """Has one native call of a session's decoder end after so many graph nodes.

    Args:
        session: Whose engine.
        nodes: After how many.
        which: Which call from now on, 0 for the next one.
        then: Called when it has ended.
    """

    def __init__(self, session, nodes, *, which=0, then=lambda: None):
        self.decoder = session._engine.decoder
        self.nodes, self.left, self.then = nodes, which, then
        self.status = None
        self.step = self.decoder.step

    def __enter__(self):
        self.decoder.step = self._step
        return self

    def __exit__(self, *exc_info):
        del self.decoder.step

    def _step(self, step_id, rows, **limits):
        chosen = self.left == 0
        self.left -= 1
        contexts = self.decoder.raw._contexts
        for context in contexts:
            lib.hr_test_interrupt_after(context, self.nodes if chosen else -1)
        try:
            outcome = self.step(step_id, rows, **limits)
        finally:
            for context in contexts:
                lib.hr_test_interrupt_after(context, -1)
        if chosen:
            self.status = outcome.status
            self.then()
        return outcome


def numbers_of_nodes():
    """Densely at first, then ever wider apart."""
    nodes = 0
    while True:
        yield nodes
        nodes += 1 if nodes < 16 else nodes // 4


def write(model, prompt, tokens):
    """What an undisturbed reproducible session writes."""
    with model.open_session(REPRODUCIBLE) as session:
        return session.complete(prompt, sampling=GREEDY, max_tokens=tokens, ignore_eog=True).tokens


@pytest.mark.parametrize("which", [0, 1, 5], ids=["first chunk", "second chunk", "decode"])
def test_a_step_that_ends_at_any_node_for_nobody_is_made_good(model, which):
    """At every node of a native call, until it is long enough to end by itself."""
    expected = write(model, PROMPT, 8)
    for nodes in numbers_of_nodes():
        with (
            model.open_session(REPRODUCIBLE) as session,
            EndingStep(session, nodes, which=which) as ending,
        ):
            done = session.complete(PROMPT, sampling=GREEDY, max_tokens=8, ignore_eog=True)
        assert done.tokens == expected, nodes
        if ending.status is StepStatus.DONE:
            break
        assert ending.status is StepStatus.INTERRUPTED
    assert nodes > 16


def test_a_cancel_at_any_node_leaves_a_session_that_goes_on_right(model):
    """What follows is what an undisturbed session with the same history and cuts writes."""
    expected = write(model, PROMPT, 8)
    for nodes in numbers_of_nodes():
        with model.open_session(REPRODUCIBLE) as session:
            first = session.complete(PROMPT, sampling=GREEDY, max_tokens=3, ignore_eog=True)
            before = session.tokens
            stream = session.generate(PROMPT, sampling=GREEDY, ignore_eog=True, max_tokens=1)
            with EndingStep(session, nodes, then=stream.cancel) as ending:
                list(stream)
            session.rewind(to=len(before))
            again = session.complete(None, sampling=GREEDY, max_tokens=5, ignore_eog=True)
        assert first.tokens + again.tokens == expected, nodes
        assert stream.result.stop_reason is StopReason.CANCELLED
        if ending.status is StepStatus.DONE:
            break
    assert nodes > 16


def has_read(stream):
    """Tokens its reader has seen."""
    return stream.statistics().delivered_tokens


def is_over(stream):
    """Whether it has a result."""
    try:
        return stream.result is not None
    except BusyError:
        return False


def test_ninety_streams_do_not_notice_that_ten_are_cancelled(model):
    """A hundred reproducible sessions over eight sequences, read in random turns."""
    draw = random.Random(7)
    cancel_after = {number: draw.randrange(1, 4) for number in draw.sample(range(100), 10)}
    prompts = [f"Story number {number}: " for number in range(100)]
    sessions = [model.open_session(REPRODUCIBLE) for _ in prompts]
    streams = [
        session.generate(prompt, sampling=GREEDY, max_tokens=6, ignore_eog=True)
        for session, prompt in zip(sessions, prompts, strict=True)
    ]
    going = list(range(100))
    while going:
        number = draw.choice(going)
        next(streams[number])
        if not is_over(streams[number]) and has_read(streams[number]) >= cancel_after.get(
            number, 9
        ):
            streams[number].cancel()
        if is_over(streams[number]):
            going.remove(number)
    for number, stream in enumerate(streams):
        tokens = stream.result.tokens
        if number in cancel_after:
            assert stream.result.stop_reason is StopReason.CANCELLED
            assert cancel_after[number] <= len(tokens) < 6
        else:
            assert len(tokens) == 6
        assert tokens == write(model, prompts[number], 6)[: len(tokens)]
        assert tuple(sessions[number].tokens[-len(tokens) :]) == tokens
        sessions[number].close()
