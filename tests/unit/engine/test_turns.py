"""Steps that go on by themselves: when they do, who ends them, and what readers see of it."""

from __future__ import annotations

import threading

import anyio
import pytest

from headrace import Choice, PromptLookup, SamplingParams, SessionParams, StopReason
from headrace.engine import turns
from headrace.engine.state import PlannedRow, Step
from headrace.protocols import DecoderInfo, Row, Truncation
from tests.unit.engine.situations import NotingSampler, begin, idle

WAIT = 20.0


def info(**limits):
    """A decoder's."""
    told = {"n_ctx": 100, "n_ctx_sequence": 100, "n_sequences": 2, "n_batch": 32}
    return DecoderInfo(
        **told, truncation=Truncation.ANY, can_copy=False, interruptible=True, **limits
    )


class Spy:
    """Which steps were asked to go on, and what came of each of their rows."""

    def __init__(self, engine) -> None:
        self.asked: list[list[int]] = []
        self.brought: list[list[int]] = []
        self.recalled: list[int] = []
        self.on_recall = threading.Event()
        engine.model.open_session().close()
        decoder = engine.backend.decoders[0]
        step, recall = decoder.step, decoder.recall

        def noting_step(step_id, rows, **limits):
            outcome = step(step_id, rows, **limits)
            self.asked.append([row.n_more for row in rows])
            self.brought.append([len(result.tokens) for result in outcome.rows])
            return outcome

        def noting_recall(step_id):
            self.recalled.append(step_id)
            recall(step_id)
            self.on_recall.set()

        decoder.step, decoder.recall = noting_step, noting_recall


def test_a_lone_stream_gets_its_tokens_in_blocks(fake):
    """The first by itself, as it ends the prefill; all of them the same as one by one."""
    engine = fake(max_more=7, engine={"lookahead": 8})
    spy = Spy(engine)
    with engine.stream(max_tokens=20) as stream:
        chunks = [len(chunk.tokens) for chunk in stream]
    assert chunks == [1, 8, 8, 3]
    assert stream.result.tokens == fake().tokens(max_tokens=20)
    assert spy.asked == [[0], [7], [7], [2]]
    assert stream.statistics().steps == 4


def test_no_more_comes_at_once_than_a_stream_may_be_ahead(fake):
    """One, if that is what was asked for."""
    engine = fake(max_more=7, engine={"lookahead": 1})
    spy = Spy(engine)
    with engine.stream(max_tokens=6) as stream:
        assert [len(chunk.tokens) for chunk in stream] == [1] * 6
    assert spy.asked == [[0]] * 6


def test_an_end_ends_the_step(fake):
    """The tokens after it are nobody's, and were not computed."""
    engine = fake(max_more=7, script="four", engine={"lookahead": 8})
    stream = engine.stream(ignore_eog=False)
    assert stream.read().text == "four"
    assert stream.result.stop_reason is StopReason.EOG
    assert len(stream.result.tokens) == 5


def test_a_stop_string_inside_a_block_ends_the_text_and_the_history_there(fake):
    """What was computed behind it is forgotten."""
    engine = fake(max_more=7, script="one two three", engine={"lookahead": 8})
    with engine.model.open_session() as session:
        done = session.complete("x", stop=["wo"], ignore_eog=True)
        assert (done.text, done.stop_reason) == ("one t", StopReason.STOP_STRING)
        assert len(session.tokens) == len(engine.model.tokenize("x")) + len("one t")
        assert session.complete(None, max_tokens=3, ignore_eog=True).text == "one"


def test_a_context_that_fills_up_ends_in_the_middle_of_a_block(fake):
    """With as many tokens as one by one."""
    contents = {"n_ctx": 16, "n_sequences": 1, "lookahead": 8}
    together = fake(max_more=7, engine=contents).stream("xyz").read()
    one_by_one = fake(engine=contents).stream("xyz").read()
    assert together.stop_reason is StopReason.CONTEXT_FULL
    assert together.tokens == one_by_one.tokens


def test_memory_that_is_full_in_the_middle_of_a_step_loses_nothing(fake):
    """The turn that finds no room is not begun; the next step makes room."""
    engine = fake(max_more=7, engine={"n_ctx": 40, "n_sequences": 2, "lookahead": 8})
    idle_one = engine.model.open_session()
    idle_one.complete("abcdefghijklmnop", max_tokens=4, ignore_eog=True)
    assert engine.tokens("0123456", max_tokens=16) == fake().tokens("0123456", max_tokens=16)


@pytest.mark.parametrize("how", ["reproducible", "lookup", "grammar"])
def test_what_needs_a_look_at_every_token_goes_token_by_token(fake, how):
    """And a step with such a row takes one turn for all."""
    engine = fake(max_more=7, engine={"lookahead": 8})
    spy = Spy(engine)
    params = {
        "reproducible": SessionParams(reproducible=True),
        "lookup": SessionParams(speculate=PromptLookup()),
    }
    grammar = Choice(["aaaaaaaa", "abababab"]) if how == "grammar" else None
    sampling = SamplingParams(temperature=0.0, grammar=grammar, logprobs=0 if grammar else None)
    with engine.model.open_session(params.get(how)) as session:
        session.complete("prompt", sampling=sampling, max_tokens=8, ignore_eog=grammar is None)
    assert len(spy.asked) > 1
    assert {n_more for rows in spy.asked for n_more in rows} == {0}


def test_nothing_goes_on_where_memory_cannot_forget(fake):
    """There an unread token makes a cancel dear."""
    engine = fake(max_more=7, truncation="none", can_copy=False)
    spy = Spy(engine)
    engine.tokens(max_tokens=6)
    assert spy.asked == [[0]] * 6


@pytest.fixture
def going_on(fake):
    """A stream after its first token, and what is done in the first step of it that goes on."""
    acts = []

    def on_step(_, rows):
        if rows[0].n_more and acts:
            acts.pop()()

    engine = fake(max_more=7, engine={"n_sequences": 3, "lookahead": 8}, on_step=on_step)
    stream = engine.stream(max_tokens=20)
    next(stream)
    return engine, stream, acts


def beside(stream, acts, spy, act) -> list[int]:
    """Act in the next step that goes on; returns how many tokens that step brought to each row.

    What the stream's chunk has may be more: whoever came may have driven a step before it is read.
    """
    acts.append(act)
    while acts:
        next(stream)
    return next(brought for asked, brought in zip(spy.asked, spy.brought, strict=True) if asked[0])


def coming(spy, newcomer):
    """Starts a thread, and has the step wait until it was recalled."""

    def act():
        newcomer.start()
        assert spy.on_recall.wait(WAIT)

    return act


def test_a_reader_who_comes_recalls_the_step_that_runs(going_on):
    """It waits for a turn at most; nobody loses a token."""
    engine, stream, acts = going_on
    spy = Spy(engine)
    newcomer = threading.Thread(target=lambda: engine.tokens("other", max_tokens=2))
    assert beside(stream, acts, spy, coming(spy, newcomer)) == [1]
    newcomer.join(WAIT)
    assert not newcomer.is_alive()
    tokens = stream.read().tokens
    assert tokens == engine.tokens(max_tokens=20)


def test_a_task_who_comes_recalls_it_too(going_on):
    """Its event loop is another thread's."""
    engine, stream, acts = going_on
    spy = Spy(engine)

    async def read():
        async with await engine.model.aopen_session() as session:
            return await session.acomplete("other", max_tokens=2, ignore_eog=True)

    newcomer = threading.Thread(target=lambda: anyio.run(read))
    assert beside(stream, acts, spy, coming(spy, newcomer)) == [1]
    newcomer.join(WAIT)
    assert not newcomer.is_alive()


def test_a_call_beside_steps_recalls_it(going_on):
    """Saving a memory waits for a turn, and not for all that were wanted."""
    engine, stream, acts = going_on
    other = engine.model.open_session()
    other.complete("other", max_tokens=1, ignore_eog=True)
    spy = Spy(engine)
    saver = threading.Thread(target=other.state)
    assert beside(stream, acts, spy, coming(spy, saver)) == [1]
    saver.join(WAIT)
    assert not saver.is_alive()


def test_a_cancel_of_one_of_two_recalls_their_step(going_on):
    """The other has what was computed by then, and goes on alone."""
    engine, stream, acts = going_on
    other = engine.stream("other", max_tokens=20)
    next(other)
    spy = Spy(engine)
    assert beside(stream, acts, spy, other.cancel) == [1, 1]
    assert other.result.stop_reason is StopReason.CANCELLED
    assert stream.read().tokens == engine.tokens(max_tokens=20)


def test_a_step_whose_last_reader_leaves_is_interrupted(going_on):
    """What was seen before stands."""
    _, stream, acts = going_on
    acts.append(stream.cancel)
    assert list(stream) == []
    assert (len(stream.result.tokens), stream.result.stop_reason) == (1, StopReason.CANCELLED)


def test_readers_who_share_one_place_write_what_they_write_alone(fake):
    """Each step goes on for one of them only while the other is not there."""
    engine = fake(max_more=7, engine={"n_sequences": 1, "lookahead": 8})
    streams = [engine.stream(f"{number}", max_tokens=70) for number in range(2)]
    readers = [threading.Thread(target=stream.read) for stream in streams]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(WAIT)
    apart = [fake().tokens(f"{number}", max_tokens=70) for number in range(2)]
    assert [stream.result.tokens for stream in streams] == apart


def planned(**run):
    """A row that decodes, as it is planned."""
    sequence = idle(resident=[1, 2])
    begin(sequence, (1, 2, 3), **run)
    row = Row(0, 2, [3], NotingSampler())
    return PlannedRow(sequence, sequence.generation, len(sequence.line), row)


@pytest.mark.parametrize(
    ("run", "n_more"),
    [
        ({}, 7),
        ({"max_tokens": 5}, 4),
        ({"max_tokens": 9, "produced": 3, "pulled": 3}, 5),
        ({"produced": 6, "pulled": 1}, 2),
        ({"produced": 8, "pulled": 0}, 0),
    ],
)
def test_how_much_more_is_wanted(run, n_more):
    """What the decoder can, the reader may be behind and the caller wants: the least of them."""
    step = Step(1, [planned(**run)])
    turns.ask_for_more(step, [step.rows[0].sequence], 8, info(max_more=7))
    assert step.rows[0].row.n_more == n_more
    assert step.goes_on == (n_more > 0)


def test_all_rows_want_as_much_as_the_one_that_wants_least():
    """A step goes on with all of them."""
    step = Step(1, [planned(), planned(max_tokens=3)])
    turns.ask_for_more(step, step.sequences, 8, info(max_more=7))
    assert [each.row.n_more for each in step.rows] == [2, 2]


def test_one_who_waits_outside_keeps_it_to_a_turn():
    """One who does not wait does not."""
    step = Step(1, [planned()])
    outside = planned().sequence
    turns.ask_for_more(step, [*step.sequences, outside], 8, info(max_more=7))
    assert step.goes_on
    step.rows[0].row.n_more = 0
    outside.generation.wanted = True
    turns.ask_for_more(step, [*step.sequences, outside], 8, info(max_more=7))
    assert not step.goes_on


@pytest.mark.parametrize(
    ("seconds", "n_turns", "ahead"),
    [
        (0.0001, 1, 200),
        (0.01, 80, 160),
        (0.000001, 1, 256),
        (0.004, 1, 5),
        (0.5, 1, 4),
        (0, 1, None),
    ],
)
def test_how_far_ahead_is_two_steps_of_the_time_a_step_may_last(seconds, n_turns, ahead):
    """Within bounds, and as before if nothing was measured."""
    step = Step(1, [planned()], seconds=seconds, n_turns=n_turns)
    assert turns.lookahead(step) == ahead


def test_a_prefill_teaches_nothing_of_decoding():
    """It takes longer."""
    prefill = planned()
    prefill.row.tokens = [1, 2, 3]
    assert turns.lookahead(Step(1, [prefill], seconds=0.1)) is None
