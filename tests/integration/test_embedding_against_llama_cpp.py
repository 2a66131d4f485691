"""The same vectors as a small C++ program over the same library."""

from __future__ import annotations

import subprocess
from array import array

import pytest

import headrace
from headrace import EngineParams
from headrace_llamacpp_ffi import library_dir
from tests.integration.programs import compile_program
from tests.support import minilm, tiny_gguf

N_TEXTS = 4
POOLINGS = {"mean": 1, "cls": 2, "last": 3}
RANK = 4
TEXTS = [f"{'the quick brown fox and ' * (number % 5)}number {number}" for number in range(11)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Runs the C++ program: token ids in, vectors out."""
    program = compile_program("reference_embedding.cpp", tmp_path_factory.mktemp("reference"))

    def run(path, texts: list[list[int]], pooling: int) -> list[list[float]]:
        done = subprocess.run(
            [program, path, library_dir, str(pooling), str(N_TEXTS), "1"],
            input="".join(" ".join(map(str, ids)) + "\n" for ids in texts),
            capture_output=True,
            text=True,
            check=True,
        )
        # By way of single precision: nine digits name such a number, and are not equal to it.
        return [list(array("f", map(float, line.split()))) for line in done.stdout.splitlines()]

    return run


def load(path) -> headrace.Model:
    """A model whose contexts are those of the program."""
    engine = EngineParams(n_threads=1, n_sequences=N_TEXTS)
    return headrace.load_model(path, backend="llamacpp", engine=engine)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", ["bert", "attention", "window", "encoder"])
def test_pooled_vectors_are_llama_cpps(reference, kind, pooling):
    """Encoders and decoders, to the last digit: they share calls in the same way."""
    path = tiny_gguf.path(kind)
    with load(path) as model:
        ids = [model.tokenize(text) for text in TEXTS]
        made = model.embed(ids, pooling=pooling, normalize=False)
        assert list(made) == reference(path, ids, POOLINGS[pooling])


def test_vectors_of_a_real_model_are_llama_cpps(reference):
    """all-MiniLM-L6-v2, with its own pooling."""
    path = minilm.path()
    with load(path) as model:
        ids = [model.tokenize(text) for text in TEXTS]
        made = model.embed(TEXTS, normalize=False)
        assert list(made) == reference(path, ids, POOLINGS["mean"])


def test_vectors_of_a_model_that_writes_text_are_llama_cpps(reference, gemma_path):
    """Gemma's last token, which saw all of the others."""
    with load(gemma_path) as model:
        ids = [model.tokenize(text) for text in TEXTS[:4]]
        made = model.embed(ids, pooling="last", normalize=False)
        assert list(made) == reference(gemma_path, ids, POOLINGS["last"])


def test_scores_are_llama_cpps(reference):
    """Of the pairs that the model's own code puts together."""
    path = tiny_gguf.path("reranker")
    with load(path) as model:
        pairs = [model._model.rerank_prompt("the cat", text) for text in TEXTS]
        expected = [numbers[0] for numbers in reference(path, pairs, RANK)]
        assert [each.score for each in model.rerank("the cat", TEXTS)] == expected
