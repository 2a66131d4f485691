"""A clone goes on as its original would, and leaves it as it was."""

from __future__ import annotations

import random

import pytest

from headrace.params import SamplingParams
from headrace_llamacpp._native import ffi, lib, new_report
from tests.integration.sampling_cases import CASES
from tests.support.tiny_gguf import N_VOCAB


def _rows(count: int) -> list[object]:
    rng = random.Random(5)
    return [ffi.new("float[]", [rng.gauss(0, 2) for _ in range(N_VOCAB)]) for _ in range(count)]


def _draw(pointer, rows) -> list[int]:
    token, report = ffi.new("int32_t *"), new_report()
    out = []
    for row in rows:
        lib.hr_test_sample(pointer, row, N_VOCAB, ffi.NULL, token, report)
        assert report.status == lib.HR_OK
        out.append(token[0])
    return out


def _clone(pointer):
    made, report = ffi.new("hr_sampler **"), new_report()
    lib.hr_sampler_clone(pointer, made, report)
    assert report.status == lib.HR_OK
    return ffi.gc(made[0], lib.hr_sampler_free)


@pytest.mark.parametrize("name", CASES)
def test_a_clone_goes_on_where_its_original_stands(open_driver, name):
    """The same tokens from the same rows, and the original's own are not changed by it."""
    driver = open_driver()
    params = SamplingParams(**CASES[name])
    rows = _rows(60)

    def sampler():
        return driver.sampler(params, seed=11, recent=[5, 6, 7, 5, 6, 7])

    undisturbed, original = sampler(), sampler()
    expected = _draw(undisturbed.pointer, rows)
    assert _draw(original.pointer, rows[:30]) == expected[:30]
    clone = _clone(original.pointer)
    second = _clone(clone)
    assert _draw(clone, rows[30:]) == expected[30:]
    assert _draw(original.pointer, rows[30:]) == expected[30:]
    original.close()
    assert _draw(second, rows[30:]) == expected[30:]
