"""The sampling that a file recommends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import headrace
from headrace import ModelFormatError, SamplingParams
from headrace_llamacpp.recommended import recommended_sampling
from tests.support import tiny_gguf

EXPECTED = SamplingParams(
    samplers=("top_k", "typ_p", "min_p", "temperature"), top_k=17, min_p=0.125, temperature=0.25
)


def _recommended(**values: str) -> SamplingParams:
    return recommended_sampling({f"general.sampling.{key}": text for key, text in values.items()})


def test_a_file_recommends_its_values():
    """In the names of llama.cpp's order; a value without effect is left out, as there."""
    with headrace.load_model(tiny_gguf.path("recommending"), backend="llamacpp") as model:
        assert model.recommended_sampling() == EXPECTED
        with model.open_session() as session:
            done = session.complete("x", sampling=model.recommended_sampling(), max_tokens=3)
        assert done.tokens


def test_a_file_without_values_recommends_the_defaults():
    """Whatever else it says."""
    with headrace.load_model(tiny_gguf.path("attention"), backend="llamacpp") as model:
        assert model.recommended_sampling() == SamplingParams()


def test_every_value_has_its_field():
    """All that llama.cpp's programs read."""
    assert _recommended(
        top_k="9", top_p="0.5", min_p="0.1", xtc_probability="0.2", xtc_threshold="0.3",
        temp="0.4", penalty_last_n="-1", penalty_repeat="1.5",
    ) == SamplingParams(
        top_k=9, top_p=0.5, min_p=0.1, xtc_probability=0.2, xtc_threshold=0.3, temperature=0.4,
        repeat_last_n=-1, repeat_penalty=1.5,
    )  # fmt: skip
    assert _recommended(mirostat="2", mirostat_tau="3.5", mirostat_eta="0.25") == SamplingParams(
        mirostat=2, mirostat_tau=3.5, mirostat_eta=0.25
    )
    assert _recommended(mirostat="1", top_k="9", temp="0.3") == SamplingParams(
        mirostat=1, temperature=0.3
    )
    assert _recommended(top_k="-1", temp="-2.0") == SamplingParams(top_k=0, temperature=0.0)
    assert _recommended(sequence="nucleus;Top-N-Sigma;xtc").samplers == (
        "top_p",
        "top_n_sigma",
        "xtc",
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("top_k", "many"),
        ("top_p", "1.5"),
        ("min_p", "nan"),
        ("temp", "inf"),
        ("penalty_repeat", "0.000000"),
        ("penalty_last_n", "-7"),
        ("mirostat", "3"),
        ("mirostat_tau", "-1"),
        ("xtc_probability", ""),
        ("sequence", "top_k;best_k"),
        ("sequence", "top_k;top-k"),
        ("sequence", ""),
    ],
)
def test_a_value_that_makes_no_sense_is_an_error(key, text):
    """Naming key and value."""
    with pytest.raises(ModelFormatError, match=f"general.sampling.{key}=") as caught:
        _recommended(**{key: text})
    assert repr(text) in str(caught.value)
    assert caught.value.hint


def _headrace(*arguments: str) -> str:
    command = [sys.executable, "-m", "headrace", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_command_line_shows_and_uses_them():
    """``info`` tells them; ``run --recommended-sampling`` draws as they say, with changes."""
    path = str(tiny_gguf.path("recommending"))
    shown = json.loads(_headrace("info", "--json", path))["recommended_sampling"]
    assert shown["top_k"] == 17
    assert "temperature 0.25" in _headrace("info", path)
    options = ["-q", "--json", "-n", "12", "--threads", "1", "--seed", "3", "--ignore-eog"]
    run = _headrace("run", *options, "--recommended-sampling", "--top-k", "60", path, "Once")
    with (
        headrace.load_model(
            path, backend="llamacpp", engine=headrace.EngineParams(n_threads=1)
        ) as model,
        model.open_session() as session,
    ):
        sampling = SamplingParams(
            samplers=EXPECTED.samplers, top_k=60, min_p=0.125, temperature=0.25, seed=3
        )
        done = session.complete("Once", sampling=sampling, max_tokens=12, ignore_eog=True)
    assert json.loads(run)["tokens"] == list(done.tokens)
