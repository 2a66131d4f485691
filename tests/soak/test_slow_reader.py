"""One reader is slow, one never reads: nothing grows, and the others do not notice.

``HEADRACE_SOAK_SECONDS`` says how long (30 by default).
"""

from __future__ import annotations

import os
import threading
import time

import pytest

import headrace
from headrace import EngineParams, SamplingParams

if os.environ.get("HEADRACE_TEST_LLAMACPP") != "1":
    pytest.skip("the llama.cpp backend was not asked for", allow_module_level=True)

from tests.soak.test_soak import SECONDS, resident_mib
from tests.support import tiny_gguf

GREEDY = SamplingParams(temperature=0.0)


def test_eight_streams_of_which_one_is_slow_and_one_is_never_read():
    """What is buffered for them is what the engine may be ahead, and no more."""
    engine = EngineParams(n_ctx=8192, n_sequences=8, n_threads=1)
    end = time.monotonic() + SECONDS
    counts = [0] * 6
    with headrace.load_model(
        tiny_gguf.path("attention"), backend="llamacpp", engine=engine
    ) as model:

        def read(number: int) -> None:
            while time.monotonic() < end:
                with model.open_session() as session:
                    for chunk in session.generate(
                        f"{number}", sampling=GREEDY, max_tokens=500, ignore_eog=True
                    ):
                        counts[number] += len(chunk.tokens)

        never = model.open_session().generate("never", sampling=GREEDY, ignore_eog=True)
        slow = model.open_session().generate("slow", sampling=GREEDY, ignore_eog=True)
        threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        sizes, slow_tokens, turns = [], 0, 0
        over = threading.Event()
        while time.monotonic() < end:
            slow_tokens += len(next(slow).tokens)
            turns += 1
            over.wait(min(1.0, SECONDS / 10))  # the slow reader's pace
            sizes.append(resident_mib())
            assert never.statistics().buffered_tokens <= engine.lookahead
            assert slow.statistics().buffered_tokens <= engine.lookahead
        for thread in threads:
            thread.join()
        assert never.statistics().delivered_tokens == 0
        assert slow_tokens <= turns * engine.lookahead
    half = len(sizes) // 2
    assert max(sizes[half:]) - max(sizes[:half]) < 10, sizes
    assert min(counts) > 10 * slow_tokens
