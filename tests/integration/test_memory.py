"""Forgetting and copying: what is kept can always be gone on from."""

from __future__ import annotations

import pytest

from headrace.errors import DecodeError
from headrace.params import EngineParams
from headrace_llamacpp._native import lib, new_report
from tests.integration.driving import Driver, prompt
from tests.support.tiny_gguf import WINDOW

# A window whose cells are soon used again: 256 of them, the library's smallest.
_SMALL = {"n_ctx": 1024, "n_sequences": 1, "n_batch": 64, "n_ubatch": 64}


def _prefill(driver: Driver, sequence: int, tokens: list[int], chunk: int) -> None:
    for start in range(0, len(tokens), chunk):
        driver.run(sequence, tokens[start : start + chunk])


def _goes_on_like(driver: Driver, sequence: int, fresh: Driver, tokens: list[int]) -> None:
    """The sequence writes what a new one writes after the same tokens."""
    _prefill(fresh, 0, tokens, 64)
    assert driver.generate(sequence, [50, 60], 8) == fresh.generate(0, [50, 60], 8)


@pytest.mark.parametrize("length", [1, 17, 99])
def test_full_attention_forgets_any_end(open_driver, length):
    """And goes on as if the rest had never been."""
    driver = open_driver("attention")
    driver.run(0, prompt(100))
    assert driver.truncate(0, length) == length
    _goes_on_like(driver, 0, open_driver("attention"), prompt(100)[:length])


def test_forgetting_nothing_keeps_all(open_driver, kind):
    """A length at or beyond the end is no removal."""
    driver = open_driver(kind)
    driver.run(0, prompt(10))
    assert driver.truncate(0, 10) == 10
    assert driver.truncate(0, 99) == 10
    assert driver.truncate(1, 5) == 0


def test_forgetting_all_empties_the_sequence(open_driver, kind):
    """A cleared sequence begins like a new one; its neighbour is not touched."""
    driver = open_driver(kind)
    driver.run(0, prompt(20))
    driver.run(1, prompt(30, seed=1))
    driver.decoder.clear(0)
    driver.lengths[0] = 0
    fresh = open_driver(kind)
    fresh.run(1, prompt(30, seed=1))
    assert driver.generate(0, prompt(20), 5) == fresh.generate(0, prompt(20), 5)
    assert driver.generate(1, [9], 5) == fresh.generate(1, [9], 5)


@pytest.mark.parametrize("length", [1, 100, 200, 300 - WINDOW, 290, 299])
def test_a_window_forgets_as_far_as_it_reaches(open_driver, length):
    """What it can no longer reach is cleared, whatever llama.cpp's removal claims."""
    driver = open_driver("window", **_SMALL)
    _prefill(driver, 0, prompt(600), 64)
    driver.truncate(0, 0)
    _prefill(driver, 0, prompt(300), 64)
    kept = driver.truncate(0, length)
    assert kept in (0, length)
    if length >= 290:
        assert kept == length
    _goes_on_like(driver, 0, open_driver("window", **_SMALL), prompt(300)[:kept])


def test_a_window_that_has_moved_on_is_not_believed(open_driver):
    """A cut far behind the window loses the sequence instead of answering wrongly."""
    driver = open_driver("window", **_SMALL)
    _prefill(driver, 0, prompt(900), 64)
    assert driver.truncate(0, 100) == 0
    _goes_on_like(driver, 0, open_driver("window", **_SMALL), [])


@pytest.mark.parametrize("length", range(610, 900, 6))
def test_half_a_window_is_not_believed(open_driver, length):
    """Whether a cut is kept or not, what follows is right; llama.cpp's claims would not be."""
    driver = open_driver("window", **_SMALL)
    _prefill(driver, 0, prompt(900), 64)
    kept = driver.truncate(0, length)
    assert kept in (0, length)
    _goes_on_like(driver, 0, open_driver("window", **_SMALL), prompt(900)[:kept])


def test_a_full_window_forgets_any_end(open_driver):
    """With ``full_window`` nothing is given up."""
    driver = open_driver("window", full_window=True, **_SMALL)
    _prefill(driver, 0, prompt(900), 64)
    assert driver.truncate(0, 100) == 100
    fresh = open_driver("window", full_window=True, **_SMALL)
    _goes_on_like(driver, 0, fresh, prompt(900)[:100])


@pytest.mark.parametrize("length", [1, 4, 19])
def test_a_recurrent_state_forgets_all_or_nothing(open_driver, length):
    """A partial removal that llama.cpp reports as done would leave all of it in place."""
    driver = open_driver("recurrent")
    driver.run(0, prompt(20))
    assert driver.truncate(0, length) == 0
    assert driver.generate(0, prompt(5), 5) == open_driver("recurrent").generate(0, prompt(5), 5)


def test_a_whole_sequence_is_copied(open_driver, kind):
    """Both go on, each its own way."""
    driver = open_driver(kind)
    driver.run(0, prompt(40))
    assert driver.decoder.copy(0, 2, 40) == 40
    driver.lengths[2] = 40
    fresh = open_driver(kind)
    fresh.run(0, prompt(40))
    expected = fresh.generate(0, [9, 10], 8)
    assert driver.generate(2, [9, 10], 8) == expected
    assert driver.generate(0, [9, 10], 8) == expected


def test_a_beginning_is_copied_where_memory_has_parts(open_driver, kind):
    """Attention copies any prefix, a recurrent state none."""
    driver = open_driver(kind)
    driver.run(0, prompt(40))
    copied = driver.decoder.copy(0, 1, 25)
    assert copied == (0 if kind == "recurrent" else 25)
    driver.lengths[1] = copied
    fresh = open_driver(kind)
    if copied:
        fresh.run(0, prompt(25))
    assert driver.generate(1, [9, 10], 8) == fresh.generate(0, [9, 10], 8)


def test_a_copy_of_more_than_there_is_copies_nothing(open_driver):
    """And leaves the target empty, whatever was in it."""
    driver = open_driver()
    driver.run(0, prompt(10))
    driver.run(1, prompt(10))
    assert driver.decoder.copy(0, 1, 11) == 0
    driver.lengths[1] = 0
    driver.run(1, prompt(10))


def test_a_window_that_has_moved_on_is_not_copied(open_driver):
    """The beginning is not there any more."""
    driver = open_driver("window", **{**_SMALL, "n_sequences": 2})
    _prefill(driver, 0, prompt(900), 64)
    assert driver.decoder.copy(0, 1, 100) == 0
    assert driver.decoder.copy(0, 1, 900) == 900


def test_a_context_that_aborted_is_used_no_more(open_driver):
    """After an assertion its state is unknown: later calls say so, another context works."""
    driver = open_driver()
    driver.run(0, [5])
    report = new_report()
    assert lib.hr_test_poison(driver.decoder._context, report) == lib.HR_NATIVE_ABORT
    assert report.poisoned
    with pytest.raises(DecodeError, match="unusable") as caught:
        driver.run(0, [6])
    assert caught.value.poisoned
    with pytest.raises(DecodeError):
        driver.decoder.clear(0)
    another = Driver(driver.model, EngineParams(n_ctx=256, n_sequences=1, n_threads=1))
    assert another.generate(0, [5], 3)
    another.decoder.close()
