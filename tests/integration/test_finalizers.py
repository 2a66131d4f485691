"""Handles that are dropped in cycles: whatever is finalized first, nothing is freed twice or used.

The interpreter calls the finalizers of a cycle in an order that depends on the ages of its
objects. Memory that is freed is overwritten here (``MALLOC_PERTURB_``), so its use is seen.
"""

from __future__ import annotations

import itertools

import pytest

from tests.support import tiny_gguf
from tests.support.subprocesses import run_script
from tests.support.tiny_adapters import lora

_OPEN = """
    import gc, sys, warnings
    gc.disable()
    warnings.simplefilter("ignore", ResourceWarning)
    from headrace.params import EngineParams, SamplingParams
    from headrace_llamacpp._native import lib, text
    from headrace_llamacpp.gguf import GgufFile
    from headrace_llamacpp.handles import Handle
    from tests.integration.driving import Driver, load_decoder_model, prompt

    class Knot:
        \"\"\"Uses everything when it goes, as a holder's finalizer may.\"\"\"
        def __del__(self):
            self.decoder.interrupt(1)
            self.adapter.close()
            self.decoder.close()
            self.sampler.close()
            self.file.close()
            self.model.close()

    def tie(meanwhile=lambda knot: None):
        knot = Knot()
        knot.model = load_decoder_model(sys.argv[1])
        knot.model.knot = knot
        meanwhile(knot)
        knot.adapter = knot.model.load_adapter(sys.argv[2])
        meanwhile(knot)
        driver = Driver(knot.model, EngineParams(n_ctx=64, n_sequences=1, n_threads=1))
        knot.decoder = driver.decoder
        knot.decoder.knot = knot
        meanwhile(knot)
        knot.sampler = driver.sampler(SamplingParams(temperature=0))
        driver.run(0, prompt(5), knot.sampler)
        knot.file = GgufFile(sys.argv[1])
        knot.file.knot = knot
        meanwhile(knot)
        return knot
"""


@pytest.fixture
def silent(monkeypatch):
    """Runs a script that must end well and say nothing."""
    monkeypatch.setenv("MALLOC_PERTURB_", "165")
    monkeypatch.setenv("MALLOC_CHECK_", "3")
    adapter = lora("attention")

    def run(script: str, *arguments: object) -> None:
        path = tiny_gguf.path("attention")
        ended = run_script(_OPEN + script, path, adapter, *arguments)
        assert (ended.code, ended.output, ended.errors) == (0, "", "")

    return run


_AGES = list(itertools.product((None, 0, 1), repeat=2))


@pytest.mark.parametrize("generations", _AGES)
def test_cycles_of_every_age_are_collected_without_harm(silent, generations):
    """Parts of the cycle age by collections on the way, those held elsewhere and those not."""
    silent(
        """
    ages = [None if each == "None" else int(each) for each in sys.argv[3].split()]
    step = 0
    def age(knot):
        global step
        if ages[step % 2] is not None:
            gc.collect(ages[step % 2])
        step += 1
    for held in ("", "model", "decoder", "file", "adapter"):
        knot = tie(age)
        part = getattr(knot, held, None)
        del knot
        gc.collect(0)
        gc.collect(1)
        del part
        gc.collect()
    """,
        " ".join(map(str, generations)),
    )


def test_finalizers_may_run_in_any_order(silent):
    """All their orders, each called as the collector calls it: before any object goes."""
    silent(
        """
    import itertools
    orders = itertools.permutations(range(6))
    for order in orders:
        knot = tie()
        parts = [
            knot, knot.model, knot.model._handle, knot.decoder, knot.decoder._handle, knot.adapter
        ]
        others = [knot.sampler, knot.file.handle]
        for part in [parts[at] for at in order[:3]] + others + [parts[at] for at in order[3:]]:
            part.__del__()
        del part, parts, others, knot
        gc.collect()
    """
    )


def test_sessions_and_streams_in_a_cycle_are_collected_without_harm(silent):
    """A stream in the middle of its generation, in every place of the order."""
    silent(
        """
    import headrace, itertools
    for order in itertools.permutations(range(5)):
        model = headrace.load_model(
            sys.argv[1], backend="llamacpp", engine=EngineParams(n_ctx=64, n_threads=1)
        )
        session = model.open_session()
        stream = session.generate("some", max_tokens=9)
        next(stream)
        native, decoder = model._model, model._engine.decoder.raw
        native.stream = stream
        parts = [stream, session, native, native._handle, decoder._handle]
        for part in [parts[at] for at in order]:
            part.__del__()
        del part, parts, stream, session, model, native, decoder
        gc.collect()
    """
    )


def test_what_was_finalized_is_closed(silent):
    """A use of an object whose handle is gone is an error, not a crash."""
    silent(
        """
    from headrace.errors import ClosedError
    knot = tie()
    model, decoder, file = knot.model, knot.decoder, knot.file
    model._handle.__del__()
    decoder._handle.__del__()
    knot.adapter.__del__()
    file.close()
    for use in (
        lambda: model.vocabulary.tokenize("a", add_special=True, parse_special=False),
        lambda: model.vocabulary.piece(5_000_000) or None,
        lambda: model.open_decoder(EngineParams(n_ctx=64)),
        lambda: model.load_adapter(sys.argv[2]),
        lambda: decoder.clear(0),
        lambda: decoder.export_state(0),
        lambda: file.metadata(),
    ):
        try:
            use()
        except (ClosedError, ValueError):
            continue
        raise SystemExit("no error")
    """
    )


def test_a_dropped_handle_deletes_once(silent):
    """Also when it is deleted by hand first, and when there is nothing to delete."""
    silent(
        """
    deleted = []
    for pointer in (lib.hr_model_new(), lib.hr_adapter_new()):
        handle = Handle(deleted.append, pointer)
        handle.delete()
        handle.delete()
        handle.__del__()
        del handle
        assert deleted == [pointer], deleted
        deleted.clear()
    """
    )
