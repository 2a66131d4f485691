"""Threads that wait for each other sleep, where the awaited one has no processor."""

from __future__ import annotations

import os

import pytest

from headrace_llamacpp._native import build_info
from tests.integration.driving import prompt

resource = pytest.importorskip("resource")

pytestmark = [
    pytest.mark.skipif(
        "-DHEADRACE_BARRIER=ON" not in build_info.cmake_options, reason="built without the barrier"
    ),
    pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here"),
]


@pytest.fixture
def one_processor():
    """This thread, and the ones that it makes, have one processor between them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def test_threads_on_one_processor_give_way_to_each_other(open_driver, one_processor):
    """A thread that spins would have it until the scheduler takes it away."""
    driver = open_driver(n_threads=2)
    driver.run(0, prompt(20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    for _ in range(5):
        driver.run(0, prompt(1))
    # About thirty operations a step, with a barrier after each.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before > 50


@pytest.mark.parametrize("n_threads", [2, 3, 5])
def test_what_they_compute_is_what_one_computes(open_driver, one_processor, n_threads):
    """None goes on before the last has come."""
    alone = open_driver(n_threads=1).generate(0, prompt(40), 20)
    together = open_driver(n_threads=n_threads)
    assert together.generate(0, prompt(40), 20) == alone
    assert together.generate(1, prompt(40), 20) == alone
