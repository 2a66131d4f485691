"""``SerialDecoder``: what it promises for every library that runs a sequence at a time."""

from __future__ import annotations

import sys

import pytest

from headrace import EngineParams, SamplingParams
from headrace.backend.decoder import Row, StepStatus, Truncation
from headrace.backend.serial_decoder import Alarm, SerialDecoder, decoder_info
from headrace.errors import ClosedError, DecodeError, UnsupportedError
from headrace.results import TokenLogprob

GREEDY = SamplingParams(temperature=0.0)


class _Summing(SerialDecoder[list, int]):
    """Two layers that are filled one after the other; the token is a hash of both."""

    def __init__(self, *, cuts: bool = True, **params) -> None:
        super().__init__(
            decoder_info(
                EngineParams(n_ctx=64, n_sequences=3, n_batch=16, **params),
                truncation=Truncation.ANY if cuts else Truncation.NONE,
            )
        )
        self.cuts = cuts
        self.on_check = lambda: None

    def new_memory(self):
        return [[], []]

    def run(self, memory, tokens, check):
        for layer in memory:
            self.on_check()
            check()
            if 13 in tokens:
                raise DecodeError("unlucky")
            layer.extend(tokens)
        assert memory[0] == memory[1]
        return sum((place + 1) * token for place, token in enumerate(memory[0])) % 97

    def cut(self, memory, length):
        for layer in memory:
            del layer[length:]
        return self.cuts

    def copied(self, memory, length):
        return [layer[:length] for layer in memory]

    def choose(self, logits, params, *, recent, draw, ban_eog, allowed):
        return (logits + int(draw * 1000) * (params.temperature > 0) + sum(recent)) % 97

    def logprob(self, logits, token, n_top):
        return TokenLogprob(token, -1.0, ((token, -1.0),) * n_top)


def _sampler(decoder, params=GREEDY, **how):
    return decoder.new_sampler(params, **{"seed": 5, "recent": [], "ban_eog": False, **how})


def _run(decoder, sampler, tokens, n, *, sequence=0, step_id=1):
    """Tokens chosen after a prompt, as the engine has them chosen: one to a step."""
    chosen, position = [], 0
    for number in range(n):
        outcome = decoder.step(step_id + number, [Row(sequence, position, tokens, sampler)])
        assert outcome.status is StepStatus.DONE
        position, tokens = outcome.rows[0].length, outcome.rows[0].tokens
        chosen += tokens
    return chosen


def test_each_sequence_has_a_memory_of_its_own():
    """Rows beside each other choose what they choose alone."""
    alone = [_run(d := _Summing(), _sampler(d), [1, 2, number], 1)[0] for number in range(3)]
    decoder = _Summing()
    rows = [Row(number, 0, [1, 2, number], _sampler(decoder)) for number in range(3)]
    outcome = decoder.step(1, rows)
    assert [row.tokens for row in outcome.rows] == [(token,) for token in alone]
    assert [row.length for row in outcome.rows] == [3, 3, 3]


def test_the_draw_depends_on_the_seed_and_the_place():
    """The same for the same seed, other for another one."""
    params = SamplingParams(temperature=1.0)
    first, again, other = (
        _run(d := _Summing(), _sampler(d, params, seed=seed), [1], 8) for seed in (5, 5, 6)
    )
    assert first == again != other


def test_a_repeat_penalty_is_given_the_window_it_asks_for():
    """The last tokens, the prompt's included; none if there is no penalty."""
    seen = []

    class Watching(_Summing):
        def choose(self, logits, params, *, recent, draw, ban_eog, allowed):
            seen.append(tuple(recent))
            return 7

    decoder = Watching()
    params = SamplingParams(temperature=0.0, repeat_penalty=1.5, repeat_last_n=2)
    _run(decoder, _sampler(decoder, params, recent=[1, 2, 3]), [3], 3)
    _run(decoder, _sampler(decoder, recent=[1, 2, 3]), [3], 1, sequence=1, step_id=9)
    assert seen == [(2, 3), (3, 7), (7, 7), ()]


def test_log_probabilities_come_if_asked_for():
    """One for each token."""
    decoder = _Summing()
    row = Row(0, 0, [1], _sampler(decoder, SamplingParams(logprobs=2)))
    (result,) = decoder.step(1, [row]).rows
    assert [len(each.top) for each in result.logprobs] == [2]
    assert [each.token for each in result.logprobs] == list(result.tokens)
    with pytest.raises(UnsupportedError):
        SerialDecoder.logprob(decoder, 1, 2, 3)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("cuts", [True, False])
def test_an_interrupt_in_a_run_leaves_the_memory_of_before(cuts, at):
    """Or none, where memory cannot be cut; the rows before it are whole."""
    decoder = _Summing(cuts=cuts)
    whole = _run(decoder, _sampler(decoder), [1, 2], 1, sequence=1)
    looks = iter(range(1, 100))
    decoder.on_check = lambda: decoder.interrupt(2) if next(looks) == 2 + at else None
    rows = [Row(0, 0, [1, 2], _sampler(decoder)), Row(1, 2, whole, _sampler(decoder))]
    outcome = decoder.step(2, rows)
    assert outcome.status is StepStatus.INTERRUPTED
    assert (outcome.rows[0].length, len(outcome.rows[0].tokens)) == (2, 1)
    assert (outcome.rows[1].length, outcome.rows[1].tokens) == (2 if cuts else 0, ())


def test_an_interrupt_before_its_step_ends_it_at_once_and_a_stale_one_does_nothing():
    """Whatever was asked of older steps is forgotten."""
    decoder = _Summing()
    decoder.interrupt(2)
    assert decoder.step(1, [Row(0, 0, [1], None)]).status is StepStatus.DONE
    assert decoder.step(2, [Row(0, 1, [1], None)]).status is StepStatus.INTERRUPTED
    decoder.interrupt(1)
    assert decoder.step(3, [Row(0, 1, [1], None)]).status is StepStatus.DONE


def test_a_time_limit_interrupts():
    """Here at once."""
    outcome = _Summing().step(1, [Row(0, 0, [1], None)], time_limit=0.0)
    assert outcome.status is StepStatus.INTERRUPTED
    assert outcome.rows[0].length == 0


def test_an_error_ends_its_own_row():
    """The other rows are run, and the sequence can be gone on with."""
    decoder = _Summing()
    _run(decoder, _sampler(decoder), [1], 1)
    rows = [Row(0, 1, [13], _sampler(decoder)), Row(1, 0, [1], _sampler(decoder))]
    outcome = decoder.step(5, rows)
    assert outcome.status is StepStatus.DONE
    assert isinstance(outcome.rows[0].error, DecodeError)
    assert (outcome.rows[0].length, outcome.rows[0].tokens) == (1, ())
    assert outcome.rows[1].error is None
    assert len(outcome.rows[1].tokens) == 1


def test_no_room_changes_nothing():
    """In all sequences together, and in one where each has its part."""
    decoder = _Summing()
    decoder.step(1, [Row(0, 0, [1] * 40, None)])
    assert decoder.step(2, [Row(1, 0, [1] * 25, None)]).status is StepStatus.NO_ROOM
    assert decoder.step(3, [Row(1, 0, [1] * 24, None)]).status is StepStatus.DONE
    divided = _Summing(divided=True)
    assert divided.info.n_ctx_sequence == 21
    assert divided.step(1, [Row(0, 0, [1] * 22, None)]).status is StepStatus.NO_ROOM


def test_truncate_and_copy_keep_what_they_say():
    """What follows is what would have followed."""
    decoder = _Summing()
    _run(decoder, None, [1, 2, 3, 4], 0)
    decoder.step(1, [Row(0, 0, [1, 2, 3, 4], None)])
    assert decoder.copy(0, 1, 3) == 3
    assert decoder.truncate(0, 2) == 2
    assert decoder.truncate(0, 5) == 2
    rows = [Row(0, 2, [3, 9], _sampler(decoder)), Row(1, 3, [9], _sampler(decoder))]
    first, second = decoder.step(2, rows).rows
    assert first == second
    decoder.clear(1)
    assert decoder.copy(1, 2, 0) == 0
    assert _Summing(cuts=False).truncate(0, 0) == 0
    assert not decoder.shift(0, 0, 1)


def test_a_closed_decoder_refuses_to_run():
    """And closes again in peace."""
    decoder = _Summing()
    decoder.close()
    decoder.close()
    with pytest.raises(ClosedError):
        decoder.step(1, [Row(0, 0, [1], None)])


def test_the_context_follows_from_what_was_asked_for():
    """And from what the model was trained for."""
    assert decoder_info(EngineParams()).n_ctx == 4096
    info = decoder_info(EngineParams(), n_ctx_train=512)
    assert (info.n_ctx, info.n_ctx_sequence) == (512, 512)
    info = decoder_info(EngineParams(n_ctx=1024), n_ctx_train=512)
    assert (info.n_ctx, info.n_ctx_sequence) == (1024, 512)


def test_an_alarm_keeps_what_is_asked_of_later_steps():
    """And forgets the rest."""
    alarm = Alarm()
    for step_id in (1, 3, 2):
        alarm.ring(step_id)
    assert [alarm.rung(step_id) for step_id in (2, 2, 3, 3)] == [True, False, True, False]


class _Bell:
    """Raises a ``KeyboardInterrupt`` at the n-th line of the serial decoder."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.endswith("serial_decoder.py"):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


@pytest.mark.parametrize("cuts", [True, False])
def test_a_keyboard_interrupt_at_any_line_of_a_step_costs_no_token(cuts):
    """The outcome is true and whoever goes on from it gets the same tokens."""
    params = SamplingParams(temperature=1.0, repeat_penalty=1.1)

    def attempt(line: int) -> tuple[bool, list[int]]:
        decoder = _Summing(cuts=cuts)
        chooser = _sampler(decoder, params, recent=[1, 2])
        history = [1, 2, *_run(decoder, chooser, [1, 2], 1)]
        interrupted = False
        bell = _Bell(line)
        before = sys.gettrace()
        sys.settrace(bell)
        try:
            outcome = decoder.step(2, [Row(0, 2, history[2:], chooser)])
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(before)
        if interrupted:
            outcome = decoder.outcome(2)
        if outcome is not None:
            history += outcome.rows[0].tokens
            length = outcome.rows[0].length
        else:
            length = 2  # the step never ran
        for step_id in range(3, 6):
            # The last token of the history is always to be run.
            length = decoder.truncate(0, min(length, len(history) - 1))
            (row,) = decoder.step(step_id, [Row(0, length, history[length:], chooser)]).rows
            history += row.tokens
            length = row.length
        return interrupted, history[:6]

    _, wanted = attempt(10**9)
    line = 1
    while True:
        interrupted, found = attempt(line)
        if not interrupted:
            break
        assert found == wanted, line
        line += 1
    assert line > 30
