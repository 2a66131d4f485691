"""Loading: progress, delays and faults; what the backend and its models tell of themselves."""

from __future__ import annotations

import pytest

from headrace.backend.plugins import discover, validate_backend
from headrace.errors import (
    BackendUnavailableError,
    ClosedError,
    ModelFormatError,
    ModelLoadCancelledError,
    ModelLoadError,
    ModelMemoryError,
    ModelNotFoundError,
)
from headrace.params import EngineParams, ModelParams
from headrace.protocols import LoadRequest, Row
from headrace.results import Capability
from headrace_fake import BOS, EOS, FakeBackend, FakeModel, MisuseError
from headrace_fake.vocabulary import FIM


def load(reference="fake:", progress=None, params=None, **options) -> FakeModel:
    """A fake model without an engine around it."""
    request = LoadRequest(
        reference=reference,
        params=params or ModelParams(),
        engine=EngineParams(),
        progress=progress,
    )
    return FakeBackend(**options).load_decoder_model(request)


def test_the_fake_is_installed_like_any_plugin():
    """Through its entry point, and it keeps the protocol."""
    backend = discover().find("fake")
    assert validate_backend(backend) is backend


def test_the_fake_claims_only_its_own_references():
    """Never a file."""
    backend = FakeBackend()
    assert backend.can_load("fake:Hello")
    assert backend.can_load("fake:")
    assert not backend.can_load("model.gguf")
    assert not backend.can_load("/fake:x")


def test_progress_runs_from_zero_to_one():
    """Rising, with both ends."""
    seen = []
    load(progress=seen.append)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


def test_a_progress_function_that_says_no_ends_the_load():
    """None and True go on."""
    with pytest.raises(ModelLoadCancelledError):
        load(progress=lambda fraction: fraction < 0.5)
    load(progress=lambda fraction: None)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("not_found", ModelNotFoundError),
        ("format", ModelFormatError),
        ("load", ModelLoadError),
        ("memory", ModelMemoryError),
        ("unavailable", BackendUnavailableError),
        ("raise", RuntimeError),
    ],
)
def test_a_load_fault_comes_half_way(fault, error):
    """After some progress."""
    seen = []
    with pytest.raises(error, match="told to"):
        load(f"fake:#load_fault={fault}", progress=seen.append)
    assert 0 < seen[-1] < 1


def test_capabilities_follow_the_options():
    """A decoder that is not interruptible does not claim to be."""
    assert {Capability.INTERRUPT, Capability.SHIFT} <= FakeBackend().capabilities()
    assert Capability.INTERRUPT not in FakeBackend(interruptible=False).capabilities()


def test_the_model_tells_what_it_is():
    """Enough for ``headrace info``."""
    info = load("fake:Hello#n_ctx=64").info
    assert (info.backend, info.architecture, info.n_vocab, info.n_ctx_train) == (
        "fake",
        "script",
        263,
        64,
    )
    assert info.special_tokens == {"bos": BOS, "eos": EOS, **FIM}


def test_a_vocabulary_alone_opens_no_session():
    """And says what to do."""
    assert load().generate_hint() is None
    assert "vocab_only" in load(params=ModelParams(vocab_only=True)).generate_hint()


def test_a_model_is_closed_after_its_decoders():
    """Twice is fine, too early is not, and nothing opens afterwards."""
    model = load()
    model.open_decoder(EngineParams())  # one that nobody has used may be lost
    decoder = model.open_decoder(EngineParams())
    decoder.step(0, [Row(0, 0, [1], None)])
    with pytest.raises(MisuseError, match="1 decoders open"):
        model.close()
    decoder.close()
    model.close()
    model.close()
    with pytest.raises(ClosedError):
        model.open_decoder(EngineParams())


def test_the_backend_shows_its_open_decoders():
    """Tests look into their memory."""
    backend = FakeBackend()
    request = LoadRequest(reference="fake:", params=ModelParams(), engine=EngineParams())
    model = backend.load_decoder_model(request)
    assert backend.decoders == []
    decoder = model.open_decoder(EngineParams())
    assert backend.decoders == [decoder]
    decoder.close()
    assert backend.decoders == []
