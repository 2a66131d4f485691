"""A process that dies is an error here, and everything else goes on."""

from __future__ import annotations

import os
import signal

import pytest

import headrace
from headrace import BackendCrashedError, IsolationParams, ModelParams, SamplingParams

GREEDY = SamplingParams(temperature=0.0)
N_TOKENS = 40
WATCHDOG = 3.0
SAID = {
    "segfault": "was ended by SIGSEGV",
    "abort": "was ended by SIGABRT",
    "exit": "ended by itself with exit code 7",
    "hang": "brought nothing forward for 3 s and was ended",
    "hog": "was ended by SIGABRT",
}
BY_HAND = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM)


def _limits(death):
    """Those that the death needs."""
    return {"hang": {"watchdog": WATCHDOG}, "hog": {"memory_bytes": 2**29}}.get(death, {})


def _stream(model, **options):
    return model.open_session().generate("Once", sampling=GREEDY, max_tokens=N_TOKENS, **options)


@pytest.mark.parametrize("death", SAID)
def test_a_death_while_loading_is_an_error(death):
    """And the next load starts a fresh process."""
    params = ModelParams(isolation=IsolationParams(**_limits(death)))
    with pytest.raises(BackendCrashedError, match=SAID[death]) as caught:
        headrace.load_model(f"fake:#load_fault={death}", params=params)
    assert "loading the model" in caught.value.message
    with headrace.load_model("fake:again", params=params) as model:
        assert model.open_session().complete("Say").text == "again"


@pytest.mark.parametrize("step", [1, 6], ids=["prefill", "decode"])
@pytest.mark.parametrize("death", SAID)
def test_of_four_streams_the_other_three_deliver_all(load, death, step):
    """Whatever ends the process of the fourth, and whenever."""
    models = [load() for _ in range(3)]
    streams = [_stream(model) for model in models]
    doomed_model = load(f"fake:#mean_length=0&fault={death}&fault_at={step}", **_limits(death))
    doomed = _stream(doomed_model)
    for stream in streams:
        next(stream)
    with pytest.raises(BackendCrashedError, match=SAID[death]) as caught:
        list(doomed)
    assert caught.value.backend == "fake"
    for stream in streams:
        for _ in stream:
            pass
        assert len(stream.result.tokens) == N_TOKENS
    with pytest.raises(BackendCrashedError):
        doomed_model.open_session()


@pytest.mark.parametrize("number", BY_HAND, ids=lambda number: number.name)
def test_a_kill_from_outside_names_its_signal(load, number):
    """With its number, and what the process wrote last."""
    model = load()
    stream = _stream(model)
    next(stream)
    os.kill(model.client.worker.pid, number)
    with pytest.raises(BackendCrashedError, match=f"was ended by {number.name}") as caught:
        list(stream)
    assert caught.value.native_code == -number
    if number is signal.SIGSEGV:
        assert any("Segmentation fault" in line for line in caught.value.native_log)


def test_every_call_on_a_dead_model_says_so(load):
    """Sessions, streams, tokenizing; closing is quiet."""
    model = load()
    session = model.open_session()
    os.kill(model.client.worker.pid, signal.SIGKILL)
    for call in (
        lambda: model.tokenize("a"),
        lambda: session.complete("a"),
        lambda: session.tokens,
        lambda: session.rewind(to=0),
        model.open_session,
    ):
        with pytest.raises(BackendCrashedError, match="SIGKILL"):
            call()
    session.close()
    model.close()


def test_a_stream_that_died_keeps_what_was_read(load):
    """Its result is the failure; what was delivered was delivered."""
    model = load()
    stream = _stream(model)
    read = [next(stream).text for _ in range(3)]
    os.kill(model.client.worker.pid, signal.SIGKILL)
    with pytest.raises(BackendCrashedError):
        list(stream)
    with pytest.raises(BackendCrashedError):
        _ = stream.result
    assert "".join(read)


def test_a_long_silence_is_no_hang_while_steps_are_taken(load):
    """A prompt in many steps brings no text for longer than the watchdog waits."""
    params = ModelParams(isolation=IsolationParams(watchdog=1.0))
    engine = headrace.EngineParams(n_batch=8)
    reference = "fake:Hello#delay=0.4"
    with headrace.load_model(reference, params=params, engine=engine) as model:
        done = model.open_session().complete("A prompt of some forty tokens, in steps of eight")
    assert done.text == "Hello", done
