"""The memory of one sequence as bytes: what llama.cpp writes, and what it makes of damage."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys

import pytest

import headrace
from headrace import EngineParams, SamplingParams, StateError
from headrace.protocols import StatefulDecoder
from headrace_llamacpp.identity import fingerprint
from tests.integration.driving import Driver, prompt
from tests.support import tiny_gguf

GREEDY = SamplingParams(temperature=0.0)
ENGINE = {"n_ctx": 512, "n_threads": 1}


def held(driver: Driver, sequence: int, count: int = 24) -> list[int]:
    """What a sequence writes from here, and how long it is before."""
    return driver.generate(sequence, [5], count)


def test_another_sequence_and_another_context_go_on_the_same(open_driver, kind):
    """Token by token, from a memory that was written down."""
    driver, other = open_driver(kind), open_driver(kind)
    assert isinstance(driver.decoder, StatefulDecoder)
    driver.generate(0, prompt(90), 10)
    state = driver.decoder.export_state(0)
    expected = held(driver, 0)
    for into, sequence in ((driver, 2), (other, 1)):
        into.lengths[sequence] = into.decoder.import_state(sequence, state)
        assert into.lengths[sequence] == 99
        assert held(into, sequence) == expected


def test_an_empty_sequence_has_no_state(open_driver, kind):
    """Nor has one whose tokens were moved and not computed since."""
    driver = open_driver(kind)
    assert not driver.decoder.export_state(0)
    if driver.decoder.info.can_shift:
        driver.run(0, prompt(40))
        assert driver.decoder.shift(0, 5, 15)
        driver.lengths[0] = 30
        assert not driver.decoder.export_state(0)
        driver.run(0, [7])
        assert driver.decoder.export_state(0)


def test_a_state_that_finds_no_room_leaves_the_sequence_empty(open_driver):
    """And its neighbours as they were."""
    driver, small = open_driver(), open_driver(n_ctx=64)
    driver.run(0, prompt(250))  # llama.cpp makes no context of fewer cells than 256
    state = driver.decoder.export_state(0)
    small.run(1, prompt(20))
    small.run(0, prompt(10))
    assert small.decoder.import_state(0, state) == 0
    small.lengths[0] = 0
    untouched = open_driver(n_ctx=64)
    untouched.run(1, prompt(20))
    assert held(small, 1, 8) == held(untouched, 1, 8)
    assert held(small, 0, 8) == held(untouched, 0, 8)


def test_a_damaged_state_is_no_memory(open_driver, kind):
    """What would pass every check of ours: truncated anywhere, the sequence is empty and usable."""
    driver = open_driver(kind)
    driver.run(0, prompt(60))
    state = driver.decoder.export_state(0)
    expected = held(driver, 0, 6)
    random_ = random.Random(3)
    for length in [0, 1, 4, 8, 12, *(random_.randrange(len(state)) for _ in range(20))]:
        assert driver.decoder.import_state(1, state[:length]) == 0
        driver.lengths[1] = 0
    driver.run(1, prompt(60))
    assert held(driver, 1, 6) == expected


def test_no_such_sequence(open_driver):
    """Refused before llama.cpp asserts."""
    driver = open_driver()
    driver.run(0, prompt(4))
    state = driver.decoder.export_state(0)
    for sequence in (-1, 4, 2**31 - 1):
        with pytest.raises(headrace.DecodeError, match="no sequence of that number"):
            driver.decoder.import_state(sequence, state)
        with pytest.raises(headrace.DecodeError, match="no sequence of that number"):
            driver.decoder.export_state(sequence)


def test_a_state_of_another_model_is_refused():
    """The message names the two."""
    with headrace.load_model(tiny_gguf.path("attention"), engine=EngineParams(**ENGINE)) as model:
        session = model.open_session()
        session.complete("some history", sampling=GREEDY, max_tokens=4)
        state = session.state()
    with headrace.load_model(tiny_gguf.path("window"), engine=EngineParams(**ENGINE)) as model:
        session = model.open_session()
        with pytest.raises(StateError, match="another model"):
            session.load_state(state)
        assert session.tokens == []


@pytest.mark.parametrize(
    "changed",
    [
        {"flash_attention": False},
        {"divided": True},
        {"cache_type_k": "f32"},
        {"rope_freq_base": 5e5},
    ],
)
def test_a_state_of_other_settings_is_refused(changed):
    """Before llama.cpp sees it."""
    path = tiny_gguf.path("attention")
    with headrace.load_model(path, engine=EngineParams(**ENGINE)) as model:
        session = model.open_session()
        session.complete("some history", sampling=GREEDY, max_tokens=4)
        state = session.state()
    engine = EngineParams(**ENGINE, **changed)
    with headrace.load_model(path, engine=engine) as model:
        session = model.open_session()
        with pytest.raises(StateError, match="another memory"):
            session.load_state(state)


def test_a_memory_without_room_is_rebuilt(kind):
    """The history is what counts: with less room than the memory takes, it is computed again."""
    path = tiny_gguf.path(kind)
    engine = {**ENGINE, "n_sequences": 2, "n_ctx": 256}
    with headrace.load_model(path, engine=EngineParams(**engine)) as model:
        session, busy = model.open_session(), model.open_session()
        session.complete(prompt(120), sampling=GREEDY, max_tokens=4, ignore_eog=True)
        state = session.state()
        expected = session.complete([9], sampling=GREEDY, max_tokens=8, ignore_eog=True).tokens
        session.reset()
        stream = busy.generate(prompt(140, 1), sampling=GREEDY, max_tokens=30, ignore_eog=True)
        next(stream)
        session.load_state(state)
        again = session.complete([9], sampling=GREEDY, max_tokens=8, ignore_eog=True).tokens
        assert again == expected
        list(stream)
        assert len(stream.result.tokens) == 30


def test_another_process_goes_on(tmp_path, kind):
    """With nothing but the files."""
    path = tiny_gguf.path(kind)
    with headrace.load_model(path, engine=EngineParams(**ENGINE)) as model:
        params = headrace.SessionParams(reproducible=True)
        session = model.open_session(params)
        session.complete("Once upon a time", sampling=GREEDY, max_tokens=20, ignore_eog=True)
        session.save_state(tmp_path / "state")
        expected = session.complete(None, sampling=GREEDY, max_tokens=20, ignore_eog=True).tokens
    program = f"""
import headrace
with headrace.load_model({str(path)!r}, engine=headrace.EngineParams(n_ctx=512, n_threads=1)) as m:
    session = m.open_session(headrace.SessionParams(reproducible=True))
    session.load_state({str(tmp_path / "state")!r})
    greedy = headrace.SamplingParams(temperature=0.0)
    print(list(session.complete(None, sampling=greedy, max_tokens=20, ignore_eog=True).tokens))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(list(expected))


def test_fingerprints(tmp_path):
    """The same for a copy; another for another file, also where only a weight differs."""
    path = tiny_gguf.path("attention")
    copy = tmp_path / "copy.gguf"
    shutil.copy(path, copy)
    assert fingerprint(copy) == fingerprint(path)
    data = bytearray(copy.read_bytes())
    data[-100] ^= 1
    copy.write_bytes(data)
    assert fingerprint(copy) != fingerprint(path)
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        shutil.copy(path, part)
    whole = fingerprint(parts[0])
    parts[1].write_bytes(data)
    assert fingerprint(parts[0]) != whole
    large = tmp_path / "large.gguf"
    large.write_bytes(bytes(9 << 20) + b"end")
    before = fingerprint(large)
    large.write_bytes(bytes(9 << 20) + b"END")
    assert fingerprint(large) != before
