"""Steps that go on: the same tokens as steps that do not, whatever ends them."""

from __future__ import annotations

import attrs
import pytest

import headrace
from headrace import EngineParams, SamplingParams
from headrace.errors import DecodeError
from headrace.protocols import Row, StepStatus
from headrace_llamacpp._native import lib
from tests.integration.driving import GREEDY, prompt
from tests.support import tiny_gguf

LONG = 60.0
"""Seconds that no test takes."""
KINDS = ["attention", "window"]


class Turns:
    """A driver whose rows want more."""

    def __init__(self, driver) -> None:
        self.driver = driver
        self.decoder = driver.decoder

    def step(self, *rows: Row, span: float = LONG):
        """Run rows, and note what memory holds afterwards."""
        driver = self.driver
        driver.step_id += 1
        outcome = driver.decoder.step(driver.step_id, rows, span=span)
        for row, result in zip(rows, outcome.rows, strict=False):
            driver.lengths[row.sequence] = result.length
        return outcome

    def row(self, sequence, tokens, sampler, n_more):
        """A row that goes on where the sequence ends."""
        return attrs.evolve(self.driver.row(sequence, tokens, sampler), n_more=n_more)


@pytest.fixture
def turns(open_driver):
    """Makes them."""
    return lambda kind="attention", **params: Turns(open_driver(kind, **params))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "params",
    [
        GREEDY,
        SamplingParams(temperature=1.3, top_k=0),
        SamplingParams(temperature=0.9, repeat_penalty=1.4, dry_multiplier=0.8),
        SamplingParams(mirostat=2),
    ],
    ids=["greedy", "all", "looking back", "mirostat"],
)
def test_the_tokens_are_those_of_single_steps(turns, open_driver, kind, params):
    """One step that goes on, after the prompt or with it, for one sequence and for three."""
    single = open_driver(kind)
    alone = [
        single.generate(i, prompt(12, i), 20, single.sampler(params, seed=i, ban_eog=True))
        for i in range(3)
    ]
    for first in (False, True):
        many = turns(kind)
        samplers = [many.driver.sampler(params, seed=i, ban_eog=True) for i in range(3)]
        if first:
            rows = [many.row(i, prompt(12, i), samplers[i], 19) for i in range(3)]
            written = [list(row.tokens) for row in many.step(*rows).rows]
        else:
            begun = many.driver.step(
                *(many.driver.row(i, prompt(12, i), samplers[i]) for i in range(3))
            )
            rows = [many.row(i, begun.rows[i].tokens, samplers[i], 18) for i in range(3)]
            outcome = many.step(*rows)
            assert outcome.status is StepStatus.DONE
            assert [row.length for row in outcome.rows] == [12 + 19] * 3
            written = [[*begun.rows[i].tokens, *outcome.rows[i].tokens] for i in range(3)]
        assert written == alone


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_writes_exactly_what_it_writes_in_single_steps(turns, open_driver, kind):
    """Its calls are as wide, so there is nothing to fall otherwise; and so on from there."""
    single = open_driver(kind)
    sampling = SamplingParams(temperature=1.0)
    expected = single.generate(0, prompt(12), 40, single.sampler(sampling, ban_eog=True))
    many = turns(kind)
    sampler = many.driver.sampler(sampling, ban_eog=True)
    written = [many.driver.run(0, prompt(12), sampler)]
    for n_more in (0, 6, 1, 20, 7):
        outcome = many.step(many.row(0, written[-1:], sampler, n_more))
        assert len(outcome.rows[0].tokens) == 1 + n_more
        written += outcome.rows[0].tokens
    assert written == expected


def test_likelihoods_come_with_every_token(turns, open_driver):
    """As many as tokens, the same as in single steps."""
    params = SamplingParams(temperature=0.0, logprobs=2)
    single = open_driver()
    sampler = single.sampler(params, ban_eog=True)
    token, expected = single.run(0, prompt(8), sampler), []
    for _ in range(5):
        result = single.step(single.row(0, [token], sampler)).rows[0]
        token = result.tokens[0]
        expected += result.logprobs
    many = turns()
    sampler = many.driver.sampler(params, ban_eog=True)
    first = many.driver.run(0, prompt(8), sampler)
    result = many.step(many.row(0, [first], sampler, 4)).rows[0]
    assert list(result.logprobs) == expected
    assert [each.token for each in result.logprobs] == list(result.tokens)


def test_a_token_that_ends_the_text_ends_the_step(turns):
    """A bias makes it come after some tokens; nothing is sampled behind it."""
    many = turns()
    vocabulary = many.driver.model.vocabulary
    ends = next(token for token in range(vocabulary.n_tokens) if vocabulary.is_eog(token))
    sampler = many.driver.sampler(SamplingParams(temperature=5.0, logit_bias={ends: 8.0}), seed=3)
    tokens = list(many.step(many.row(0, prompt(5), sampler, 100)).rows[0].tokens)
    assert tokens[-1] == ends
    assert ends not in tokens[:-1]
    assert len(tokens) < 101


def test_a_step_that_is_recalled_takes_one_turn(turns):
    """Also if that came before it began; a stale recall does nothing."""
    many = turns()
    sampler = many.driver.sampler(ban_eog=True)
    first = many.driver.run(0, prompt(5), sampler)
    many.decoder.recall(many.driver.step_id)
    assert len(many.step(many.row(0, [first], sampler, 4)).rows[0].tokens) == 5
    many.decoder.recall(many.driver.step_id + 1)
    outcome = many.step(many.row(0, [first], sampler, 4))
    assert (outcome.status, len(outcome.rows[0].tokens)) == (StepStatus.DONE, 1)


def test_a_step_without_time_takes_one_turn(turns):
    """``span`` is what it may go on for."""
    many = turns()
    sampler = many.driver.sampler(ban_eog=True)
    outcome = many.step(many.row(0, prompt(5), sampler, 50), span=0.0)
    assert len(outcome.rows[0].tokens) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nodes", [70, 150, 400])
def test_an_interrupt_in_a_later_turn_keeps_the_tokens_before(turns, open_driver, kind, nodes):
    """Memory holds all of them but the last, and can be gone on from."""
    expected = open_driver(kind).generate(0, prompt(12), 30)
    many = turns(kind)
    sampler = many.driver.sampler()
    first = many.driver.run(0, prompt(12), sampler)
    lib.hr_test_interrupt_after(many.decoder._context, nodes)
    outcome = many.step(many.row(0, [first], sampler, 60))
    lib.hr_test_interrupt_after(many.decoder._context, -1)
    assert outcome.status is StepStatus.INTERRUPTED
    result = outcome.rows[0]
    written = [first, *result.tokens]
    assert written == expected[: len(written)]
    if result.tokens:
        assert result.length == 12 + len(result.tokens)
        rest = many.step(many.row(0, written[-1:], sampler, 3)).rows[0].tokens
        assert [*written, *rest] == expected[: len(written) + 4]


def test_interrupts_fall_into_later_turns_at_all(turns):
    """Or the test above would test nothing."""
    many = turns()
    sampler = many.driver.sampler(ban_eog=True)
    first = many.driver.run(0, prompt(12), sampler)
    lib.hr_test_interrupt_after(many.decoder._context, 400)
    outcome = many.step(many.row(0, [first], sampler, 60))
    assert 0 < len(outcome.rows[0].tokens) < 61


def test_a_turn_that_finds_no_room_is_not_begun(turns):
    """What came before stands; the next step is told."""
    many = turns(n_ctx=256, n_sequences=2)
    many.driver.run(1, prompt(200))
    sampler = many.driver.sampler(ban_eog=True)
    first = many.driver.run(0, prompt(20), sampler)
    outcome = many.step(many.row(0, [first], sampler, 100))
    result = outcome.rows[0]
    assert outcome.status is StepStatus.DONE
    assert result.length == 256 - 200
    assert len(result.tokens) == result.length - 20
    again = many.step(many.row(0, result.tokens[-1:], sampler, 3))
    assert again.status is StepStatus.NO_ROOM


def test_rows_that_cannot_want_more_are_refused(turns):
    """With a draft, with masks, without a sampler, or more than there is room for."""
    many = turns()
    sampler = many.driver.sampler()
    masks = memoryview(bytes(4 * -(-many.driver.model.vocabulary.n_tokens // 32)))
    for row in (
        Row(0, 0, [5], None, n_more=1),
        Row(0, 0, [5], sampler, (6,), n_more=1),
        Row(0, 0, [5], sampler, n_more=1, allowed=masks),
    ):
        with pytest.raises(DecodeError, match="wants more tokens"):
            many.decoder.step(1, [row], span=1.0)
    with pytest.raises(ValueError, match="more than 127"):
        many.decoder.step(1, [Row(0, 0, [5], sampler, n_more=128)], span=1.0)


def test_a_stream_of_a_small_model_comes_in_blocks_and_is_the_same():
    """Text, tokens and history are those of a stream that has one token at a time."""
    sampling = SamplingParams(temperature=0.9, seed=5)
    told, most = [], []
    for lookahead in (1, None):
        with (
            headrace.load_model(
                tiny_gguf.path("attention"),
                backend="llamacpp",
                engine=EngineParams(n_ctx=512, n_threads=1, lookahead=lookahead),
            ) as model,
            model.open_session() as session,
        ):
            stream = session.generate("Once", sampling=sampling, max_tokens=150, ignore_eog=True)
            most.append(max(len(chunk.tokens) for chunk in stream))
            told.append((stream.result.text, stream.result.tokens, session.tokens))
    assert told[0] == told[1]
    assert most[1] > most[0]
