"""The sequence apart: a context of its own behind the numbers of the others."""

from __future__ import annotations

import pytest

from headrace.errors import ClosedError, DecodeError
from headrace.params import EngineParams
from headrace.protocols import Row, StepStatus
from tests.integration.driving import Driver, load_decoder_model, prompt
from tests.support import tiny_gguf
from tests.support.tiny_gguf import WINDOW

PARAMS = EngineParams(n_ctx=256, n_sequences=2, n_batch=64, n_threads=1)
APART = 2
"""The number after those of the sequences that share a memory."""


@pytest.fixture(params=["attention", "window", "recurrent"])
def driver(request):
    """A decoder of a tiny model, whose place apart is not made yet."""
    model = load_decoder_model(tiny_gguf.path(request.param))
    driver = Driver(model, PARAMS)
    driver.lengths.append(0)
    yield driver
    driver.decoder.close()
    model.close()


def test_it_is_not_there_until_it_is_made(driver):
    """The number is refused like any that there is not."""
    with pytest.raises(DecodeError, match="a sequence that there is not"):
        driver.step(driver.row(APART, [5]))
    before = driver.decoder.device_memory()[0]
    for _ in range(2):
        driver.decoder.open_apart()
        after = driver.decoder.device_memory()[0]
        assert after.weights == before.weights
        assert before.cache < after.cache
    driver.run(APART, [5])


def test_it_computes_what_a_lone_sequence_does(driver):
    """While others come, go on and leave holes, and whatever was there before."""
    with_others, lone = driver, Driver(driver.model, PARAMS)
    lone.lengths.append(0)
    for each in (with_others, lone):
        each.decoder.open_apart()
    with_others.generate(APART, prompt(70, 3)[:60], 9)
    with_others.decoder.clear(APART)
    with_others.lengths[APART] = 0
    found = {}
    for each in (with_others, lone):
        sampler = each.sampler()
        if each is with_others:
            each.generate(0, prompt(50), 20)
        found[each] = [each.run(APART, prompt(40, 1), sampler)]
        if each is with_others:
            each.truncate(0, 0)
            each.generate(1, prompt(30, 2), 20)
        found[each] += [each.run(APART, found[each][-1:], sampler) for _ in range(30)]
        sampler.close()
    assert found[with_others] == found[lone]
    lone.decoder.close()


def test_it_shares_neither_a_step_nor_a_copy(driver):
    """What is in another context cannot be computed, or copied, with it."""
    driver.decoder.open_apart()
    driver.run(0, prompt(20))
    driver.run(APART, prompt(20))
    with pytest.raises(DecodeError, match="a sequence that there is not"):
        driver.step(driver.row(0, [5]), driver.row(APART, [5]))
    with pytest.raises(DecodeError, match="at most one for each sequence"):
        driver.step(driver.row(APART, [5]), driver.row(0, [5]))
    assert driver.decoder.copy(0, APART, 20) == driver.decoder.copy(APART, 1, 20) == 0
    assert driver.run(0, [5], driver.sampler()) == driver.run(APART, [5], driver.sampler())


@pytest.mark.parametrize("length", [WINDOW - 2, WINDOW + 20])
def test_it_takes_back_what_it_can_put_where_it_was(driver, length):
    """A state has the window alone: what goes on after it would lie where the rest has been."""
    driver.decoder.open_apart()
    driver.run(APART, prompt(length))
    state = driver.decoder.export_state(APART)
    driver.decoder.clear(APART)
    taken = driver.decoder.import_state(APART, state)
    windowed = driver.model._traits.n_swa > 0
    assert taken == (0 if windowed and length > WINDOW else length)
    driver.lengths[APART] = taken
    driver.run(APART, [5])


def test_an_interrupt_reaches_it(driver):
    """It has step ids in common with the others."""
    driver.decoder.open_apart()
    driver.run(0, prompt(20))
    driver.decoder.interrupt(driver.step_id + 1)
    assert driver.step(driver.row(APART, prompt(20))).status is StepStatus.INTERRUPTED
    assert driver.step(driver.row(APART, prompt(20))).status is StepStatus.DONE


def test_it_is_closed_with_the_decoder(driver):
    """And not made afterwards."""
    driver.decoder.open_apart()
    driver.decoder.close()
    with pytest.raises(ClosedError):
        driver.decoder.open_apart()
    with pytest.raises(ClosedError):
        driver.decoder.step(9, [Row(APART, 0, [5], None)])
