"""The same tokens as a small C++ program over the same library."""

from __future__ import annotations

import subprocess

import pytest

from headrace.params import EngineParams, SamplingParams
from headrace_llamacpp_ffi import library_dir
from tests.integration.driving import Driver, load_decoder_model
from tests.integration.programs import compile_program

N_TOKENS = 48
PROMPTS = (
    "The capital of France is",
    "Die Hauptstadt von Deutschland ist",
    "日本の首都は",
    "Столица России —",
    "عاصمة مصر هي",
    "def fibonacci(n):\n    ",
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, gemma_path):
    """Runs the C++ program: prompts in, tokens out."""
    program = compile_program("reference.cpp", tmp_path_factory.mktemp("reference"))

    def run(prompts: list[list[int]], seed: int) -> list[list[int]]:
        done = subprocess.run(
            [program, gemma_path, library_dir, str(N_TOKENS), str(seed)],
            input="".join(" ".join(map(str, ids)) + "\n" for ids in prompts),
            capture_output=True,
            text=True,
            check=True,
        )
        return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]

    return run


@pytest.fixture(scope="module")
def driver(gemma_path):
    """A context like the program's, for one sequence after the other."""
    model = load_decoder_model(gemma_path)
    engine = EngineParams(n_ctx=512, n_sequences=1, n_threads=1)
    driver = Driver(model, engine)
    yield driver
    driver.decoder.close()
    model.close()


@pytest.fixture(scope="module")
def prompts(driver):
    """The prompts' token ids."""
    vocabulary = driver.model.vocabulary
    return [vocabulary.tokenize(each, add_special=True, parse_special=False) for each in PROMPTS]


def _written(driver, prompts, make_sampler) -> list[list[int]]:
    out = []
    for prompt in prompts:
        driver.truncate(0, 0)
        sampler = make_sampler()
        out.append(driver.generate(0, prompt, N_TOKENS, sampler))
        sampler.close()
    return out


def test_greedy_tokens_are_llama_cpps(reference, driver, prompts):
    """Several scripts, token by token."""
    assert _written(driver, prompts, driver.sampler) == reference(prompts, -1)


@pytest.mark.parametrize("seed", [0, 42, 2**32 - 2])
def test_seeded_tokens_are_llama_cpps(reference, driver, prompts, seed):
    """The default chain of samplers draws the same for the same seed."""
    params = SamplingParams(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05)
    written = _written(driver, prompts[:2], lambda: driver.sampler(params, seed=seed))
    assert written == reference(prompts[:2], seed)
