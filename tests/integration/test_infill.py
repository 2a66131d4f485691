"""Filling in the middle on llama.cpp: models with few tokens for it, and with none."""

from __future__ import annotations

import pytest

import headrace
from headrace import Capability, EngineParams, SamplingParams, UnsupportedError
from tests.support import tiny_gguf

GREEDY = SamplingParams(temperature=0.0)


def _load(path) -> headrace.Model:
    return headrace.load_model(
        path, backend="llamacpp", engine=EngineParams(n_ctx=256, n_threads=1)
    )


@pytest.fixture(scope="module")
def model():
    """A model with the three tokens that it takes, and no others."""
    with _load(tiny_gguf.path("attention+gap")) as model:
        yield model


def test_the_ids_are_those_of_the_file():
    """By name, among the model's special tokens."""
    expected = {f"fim_{name}": token for name, token in tiny_gguf.FIM.items()}
    with _load(tiny_gguf.path("attention+infill")) as model:
        special = model.info.special_tokens
    assert {name: special[name] for name in special if name.startswith("fim_")} == expected


def test_other_files_are_told_apart_by_text_where_there_is_no_token(model):
    """Neither project nor path are named then; the text between is that of llama-server."""
    assert Capability.INFILL in model.capabilities
    special = model.info.special_tokens
    extra = [("one.py", "1\n"), ("two.py", "2\n")]
    with model.open_session() as session:
        session.complete_infill("a", "b", extra=extra, sampling=GREEDY, max_tokens=0)
        found = session.tokens

    def ids(text: str) -> list[int]:
        return model.tokenize(text, add_special=False)

    between = ids("\n\n--- snippet ---\n\n")
    assert found == [
        *(*between, *ids("1\n"), *between, *ids("2\n"), special["bos"]),
        *(special["fim_pre"], *ids("a"), special["fim_suf"], *ids("b"), special["fim_mid"]),
    ]


def test_the_infill_sampler_ends_where_the_model_is_likely_to(model):
    """llama.cpp's sampler for it takes part in the draw."""
    sampling = SamplingParams(samplers=("top_k", "infill"), top_k=20, seed=1)
    with model.open_session() as session:
        done = session.complete_infill("a", "b", sampling=sampling, max_tokens=5)
    assert 1 <= len(done.tokens) <= 5


def test_a_model_of_prose_says_that_it_cannot(gemma_path):
    """Gemma's base model has no such tokens."""
    with _load(gemma_path) as model, model.open_session() as session:
        assert Capability.INFILL not in model.capabilities
        with pytest.raises(UnsupportedError, match="fim_pre") as caught:
            session.infill("a", "b")
    assert "code" in caught.value.hint
