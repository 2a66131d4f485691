"""Any sequence of calls on several sessions: what was seen is what is remembered.

The fake's greedy token is a function of everything in memory, so on the fake
the machine knows what each stream must deliver next, whatever was cancelled,
evicted or rebuilt in between; and the fake notes every breach of the decoder
protocol. On a real model it knows what each session must remember, and what a
reproducible one must write: what an undisturbed one does after the same calls.
Beside them neighbours come and go, who leave and take places in memory.
"""

from __future__ import annotations

import contextlib
import functools
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

import headrace
from headrace import EngineParams, SamplingParams, SessionParams, StopReason
from headrace_fake import FakeBackend
from tests.contract.targets import Target, fake

GREEDY = SamplingParams(temperature=0.0)
PROMPTS = st.sampled_from(["a", "the same long beginning, ", "the same long beginning, and more"])
N_CTX = 768
"""More than 512, from which on the CPU's attention depends on the whole length of memory."""


@functools.cache
def oracle():
    """A session-maker of an undisturbed engine."""
    return headrace.load_model(
        "fake:", backend=FakeBackend(mean_length=0), engine=EngineParams(n_ctx=4096)
    )


@functools.lru_cache(maxsize=10_000)
def token_after(history: tuple[int, ...]) -> int:
    """What the fake writes next."""
    with oracle().open_session() as session:
        return session.complete(list(history), sampling=GREEDY, max_tokens=1).tokens[0]


class Talk:
    """One session and what it must remember."""

    def __init__(self, session, *, reproducible=False):
        self.session = session
        self.reproducible = reproducible
        self.calls: list[list[object]] = []
        self.history: list[int] = []
        self.stream = None
        self.prompt: list[int] = []
        self.read: list[int] = []


class Sessions(RuleBasedStateMachine):
    """Opens, generates, reads, cancels, goes on and closes, in any order."""

    target: ClassVar[Target]
    talks = Bundle("talks")

    def __init__(self):
        super().__init__()
        # How much comes at once must not be a matter of time, or no example could be run again.
        ahead = {"lookahead": 6 if self.target.name.startswith("fake") else 1}
        self.model = self.target.load(n_ctx=N_CTX, n_sequences=2, n_batch=24, **ahead)
        self.fake = self.model.info.backend == "fake"
        if not self.fake:
            self.twin = self.target.load(n_ctx=N_CTX, n_sequences=1, n_batch=24)
        self.open = []
        self.saved = []
        self.neighbours = []

    @initialize(target=talks)
    def open_more_than_fit(self):
        """Three sessions that generate, over two sequences."""
        opened = [self.open_session(reproducible=number > 0) for number in range(3)]
        for talk in opened:
            self.generate(talk, "a", None)
            self.read(talk, 1)
        return multiple(*opened)

    @rule(target=talks, reproducible=st.booleans())
    def open_session(self, reproducible):
        """A new session, empty."""
        session = self.model.open_session(SessionParams(reproducible=reproducible))
        talk = Talk(session, reproducible=reproducible)
        self.open.append(talk)
        return talk

    @rule(talk=talks, text=PROMPTS, max_tokens=st.one_of(st.none(), st.integers(1, 6)))
    def generate(self, talk, text, max_tokens):
        """Begin a generation, unless one is under way or it does not fit."""
        if talk.stream is not None:
            with pytest.raises(headrace.BusyError):
                talk.session.generate(text)
            return
        prompt = self.model.tokenize(text, add_special=not talk.history)
        if len(talk.history) + len(prompt) > N_CTX:
            with pytest.raises(headrace.ContextFullError):
                talk.session.generate(text)
            return
        talk.stream = talk.session.generate(text, sampling=GREEDY, max_tokens=max_tokens)
        talk.prompt, talk.read = prompt, []
        talk.calls.append(["generate", text, max_tokens, None])

    @rule(talk=talks)
    def go_on(self, talk):
        """Begin a generation without a prompt."""
        if talk.stream is None and 0 < len(talk.history) <= N_CTX:
            talk.stream = talk.session.generate(None, sampling=GREEDY, max_tokens=3)
            talk.prompt, talk.read = [], []
            talk.calls.append(["generate", None, 3, None])

    @rule(talk=talks, chunks=st.integers(1, 5))
    def read(self, talk, chunks):
        """Read some chunks; each token must be the one the history calls for."""
        for _ in range(chunks if talk.stream is not None else 0):
            chunk = next(talk.stream)
            for token in chunk.tokens:
                before = (*talk.history, *talk.prompt, *talk.read)
                exact = self.fake and (talk.reproducible or not self.target.placed)
                assert not exact or token == token_after(before)
                talk.read.append(token)
            with contextlib.suppress(headrace.BusyError):
                self.ended(talk, talk.stream.result)
                return

    @rule(talk=talks)
    def cancel(self, talk):
        """End a generation early."""
        if talk.stream is None:
            return
        talk.stream.close()
        assert talk.stream.result.stop_reason is StopReason.CANCELLED
        now = talk.session.tokens
        if talk.read:
            assert now == talk.history + talk.prompt + talk.read
        else:
            # As much of the prompt as was computed, and at least the history.
            whole = talk.history + talk.prompt
            assert now == whole[: max(len(now), len(talk.history))]
        talk.history, talk.stream = now, None
        talk.calls[-1][3] = len(talk.read)
        self.compare_with_undisturbed(talk)

    @rule(talk=talks, tokens=st.integers(1, 3))
    @precondition(lambda self: any(talk.stream is None for talk in self.open))
    def warm(self, talk, tokens):
        """Compute a prompt and nothing more."""
        if talk.stream is None and len(talk.history) + tokens <= N_CTX:
            prompt = self.model.tokenize("w" * tokens, add_special=False)
            done = talk.session.complete(prompt, max_tokens=0)
            assert done.stop_reason is StopReason.MAX_TOKENS
            talk.history += prompt
            talk.calls.append(["generate", prompt, 0, None])

    @rule(talk=talks, share=st.floats(0, 1))
    def rewind(self, talk, share):
        """Forget the end of the history, unless a generation is under way."""
        length = int(share * len(talk.history))
        if talk.stream is not None:
            with pytest.raises(headrace.BusyError):
                talk.session.rewind(to=length)
            return
        talk.session.rewind(to=length)
        del talk.history[length:]
        talk.calls.append(["rewind", length])
        assert talk.session.tokens == talk.history

    @rule(target=talks, talk=talks)
    def fork(self, talk):
        """A session with the same history, unless a generation is under way."""
        if talk.stream is not None:
            with pytest.raises(headrace.BusyError):
                talk.session.fork()
            return self.open_session(reproducible=False)
        forked = Talk(talk.session.fork(), reproducible=talk.reproducible)
        forked.history = list(talk.history)
        forked.calls = [list(call) for call in talk.calls]
        self.open.append(forked)
        return forked

    @rule(talk=talks)
    def save(self, talk):
        """Keep a session, unless a generation is under way."""
        if talk.stream is not None:
            with pytest.raises(headrace.BusyError):
                talk.session.state()
            return
        calls = [list(call) for call in talk.calls]
        kept = (talk.session.state(), list(talk.history), calls, talk.reproducible)
        self.saved = [*self.saved, kept][-4:]

    @rule(talk=talks, which=st.integers(0, 3))
    @precondition(lambda self: self.saved)
    def load(self, talk, which):
        """Turn a session into one that was kept, unless a generation is under way."""
        state, history, calls, reproducible = self.saved[which % len(self.saved)]
        if talk.stream is not None:
            with pytest.raises(headrace.BusyError):
                talk.session.load_state(state)
            return
        if talk.reproducible and not reproducible:
            return  # it would be computed anew, in pieces of its own
        talk.session.load_state(state)
        talk.history, talk.calls = list(history), [list(call) for call in calls]
        assert talk.session.tokens == talk.history

    @rule(talk=talks)
    def reset(self, talk):
        """Forget everything."""
        if talk.stream is None:
            talk.session.reset()
            talk.history = []
            talk.calls.append(["rewind", 0])
            assert talk.session.tokens == []

    @rule(talk=consumes(talks))
    def close(self, talk):
        """Close a session with whatever is under way."""
        talk.session.close()
        self.open.remove(talk)

    @rule(tokens=st.integers(1, 300), text=PROMPTS)
    @precondition(lambda self: len(self.neighbours) < 3)
    def neighbour_comes(self, tokens, text):
        """Another plain session fills some of the memory."""
        neighbour = self.model.open_session()
        self.neighbours.append(neighbour)
        neighbour.complete(text, sampling=GREEDY, max_tokens=tokens)

    @rule(which=st.integers(0, 2), share=st.floats(0, 1))
    @precondition(lambda self: self.neighbours)
    def neighbour_cuts(self, which, share):
        """It forgets some of what it has, and goes on."""
        neighbour = self.neighbours[which % len(self.neighbours)]
        neighbour.rewind(to=int(share * len(neighbour.tokens)))
        neighbour.complete("and", sampling=GREEDY, max_tokens=2)

    @rule(which=st.integers(0, 2))
    @precondition(lambda self: self.neighbours)
    def neighbour_scores(self, which):
        """It has a text scored, beside what it has in memory."""
        self.neighbours[which % len(self.neighbours)].score("and so on and on")

    @rule(which=st.integers(0, 2))
    @precondition(lambda self: self.neighbours)
    def neighbour_goes(self, which):
        """It is closed, and leaves a hole."""
        self.neighbours.pop(which % len(self.neighbours)).close()

    def ended(self, talk, done):
        """Note what a generation that ended by itself has added."""
        assert done.receipt.reproducible == talk.reproducible
        assert tuple(talk.read) == done.tokens
        talk.history += talk.prompt + talk.read
        talk.stream = None
        assert talk.session.tokens == talk.history
        self.compare_with_undisturbed(talk)

    def compare_with_undisturbed(self, talk):
        """A reproducible session alone on its engine writes the same after the same calls."""
        if self.fake or not talk.reproducible:
            return
        with self.twin.open_session(SessionParams(reproducible=True)) as session:
            for kind, what, *rest in talk.calls:
                if kind == "rewind":
                    session.rewind(to=what)
                    continue
                max_tokens, wanted = rest
                with session.generate(what, sampling=GREEDY, max_tokens=max_tokens) as stream:
                    while wanted is None or stream.statistics().delivered_tokens < wanted:
                        if next(stream, None) is None:
                            break
            assert session.tokens == talk.history

    def teardown(self):
        """Close everything, in the middle of whatever is under way."""
        self.model.close()
        if not self.fake:
            self.twin.close()
        assert self.target.violations() == ()


def test_what_was_seen_is_remembered_whatever_is_called(target):
    """Over every kind of memory; the fake refuses every breach of the decoder protocol."""
    machine = type("Machine", (Sessions,), {"target": target})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


@pytest.mark.parametrize("truncation", ["any", "recent", "none"])
def test_neighbours_do_not_move_what_a_reproducible_session_has_in_memory(truncation):
    """Where text depends on where tokens lie, a reproducible session's is that of a lone one."""
    placed = fake("fake-placed", truncation=truncation, reach=8, placement="apart")
    machine = type("Machine", (Sessions,), {"target": placed})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


def test_the_machine_finds_a_memory_that_neighbours_move():
    """A decoder that says its text does not depend on the place, and it does, is caught."""
    denied = fake("fake-denied", truncation="any", placement="denied")
    machine = type("Machine", (Sessions,), {"target": denied})
    quick = settings(max_examples=60, stateful_step_count=40, deadline=None, database=None)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=quick)
