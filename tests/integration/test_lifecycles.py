"""Closing, dropping and exiting in every order: code 0, and not a word."""

from __future__ import annotations

import itertools

import pytest

from tests.support import tiny_gguf
from tests.support.subprocesses import run_script

_OPEN = """
    import sys
    from headrace.params import EngineParams
    from tests.integration.driving import Driver, load_decoder_model, prompt
    model = load_decoder_model(sys.argv[1])
    driver = Driver(model, EngineParams(n_ctx=256, n_sequences=2, n_threads=2))
    decoder = driver.decoder
    sampler = driver.sampler()
    driver.run(0, prompt(9), sampler)
    things = {"model": model, "decoder": decoder, "sampler": sampler}
"""
_ORDERS = [" ".join(order) for order in itertools.permutations(("model", "decoder", "sampler"))]


def _silent(script: str, *arguments: object) -> None:
    ended = run_script(script, tiny_gguf.path("attention"), *arguments)
    assert (ended.code, ended.output, ended.errors) == (0, "", "")


@pytest.mark.parametrize("order", _ORDERS)
def test_everything_closes_in_any_order_and_twice(order):
    """Children are freed before parents, whatever is closed first."""
    _silent(
        _OPEN
        + """
    for _ in range(2):
        for name in sys.argv[2].split():
            things[name].close()
    """,
        order,
    )


@pytest.mark.parametrize("order", _ORDERS)
def test_everything_can_be_dropped_in_any_order(order):
    """The collector frees what nobody closed."""
    _silent(
        _OPEN
        + """
    import gc
    del model, decoder, sampler, driver
    for name in sys.argv[2].split():
        del things[name]
        gc.collect()
    """,
        order,
    )


def test_exit_with_everything_alive_is_silent():
    """Nothing is freed any more, nothing is said."""
    _silent(_OPEN)


def test_exit_after_an_exception_in_the_main_thread_shows_only_that():
    """The traceback of the program's own error, and no crash behind it."""
    ended = run_script(_OPEN + "\n    raise SystemExit(3)", tiny_gguf.path("attention"))
    assert (ended.code, ended.output, ended.errors) == (3, "", "")


@pytest.mark.parametrize("closed", ["", "decoder", "model"])
def test_exit_with_a_daemon_thread_inside_a_step_is_silent(closed):
    """The thread is ended inside the native call, or as it comes out."""
    _silent(
        """
    import sys, threading
    from headrace.params import EngineParams
    from tests.integration.driving import Driver, load_decoder_model, prompt
    model = load_decoder_model(sys.argv[1])
    driver = Driver(model, EngineParams(n_ctx=4096, n_batch=4000, n_sequences=1, n_threads=2))
    begun = threading.Event()
    def work():
        try:
            while True:
                begun.set()
                driver.run(0, prompt(4000))
                driver.truncate(0, 0)
        except Exception:
            pass
    threading.Thread(target=work, daemon=True).start()
    begun.wait()
    if sys.argv[2]:
        {"decoder": driver.decoder, "model": model}[sys.argv[2]].close()
    """,
        closed,
    )


def test_exit_with_a_daemon_thread_inside_a_load_is_silent(gemma_path):
    """Also when the load reports progress to Python."""
    ended = run_script(
        """
    import sys, threading
    from tests.integration.driving import load_decoder_model
    begun = threading.Event()
    def work():
        while True:
            load_decoder_model(sys.argv[1], progress=lambda _: begun.set()).close()
    threading.Thread(target=work, daemon=True).start()
    begun.wait()
    """,
        gemma_path,
    )
    assert (ended.code, ended.output, ended.errors) == (0, "", "")


def test_a_forked_child_leaves_its_parents_handles_alone():
    """It is told so when it uses one, and ends in peace; the parent goes on."""
    _silent(
        _OPEN
        + """
    import gc, os, warnings
    from headrace.errors import ForkedProcessError
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads around
    child = os.fork()
    if child == 0:
        for use in (
            lambda: driver.run(0, [5]),
            lambda: decoder.clear(0),
            lambda: model.open_decoder(EngineParams()),
            lambda: model.vocabulary.tokenize("a", add_special=True, parse_special=False),
            lambda: driver.sampler(),
        ):
            try:
                use()
            except ForkedProcessError:
                continue
            os._exit(1)
        decoder.close()
        del driver, decoder, things
        gc.collect()
        model.close()
        fresh = load_decoder_model(sys.argv[1])
        own = Driver(fresh, EngineParams(n_ctx=256, n_sequences=1, n_threads=2))
        own.run(0, [5])
        own.decoder.close()
        fresh.close()
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
    driver.run(0, [5], sampler)
    """
    )


def test_dropping_without_closing_warns_whoever_listens():
    """A ResourceWarning that names the class."""
    ended = run_script(
        """
    import gc, sys, warnings
    from tests.integration.driving import load_decoder_model
    warnings.simplefilter("always")
    from headrace import EngineParams
    model = load_decoder_model(sys.argv[1])
    model.open_decoder(EngineParams(n_ctx=64)).close()
    del model
    gc.collect()
    """,
        tiny_gguf.path("attention"),
    )
    assert ended.code == 0
    assert "ResourceWarning: tiny attention was dropped without close()" in ended.errors
