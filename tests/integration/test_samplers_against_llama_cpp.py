"""Every sampler, alone and with others, draws what it draws in llama.cpp's own programs.

The counterpart is a C++ program over ``common_sampler``, the chain that
llama-server and llama-cli build from the same settings.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import attrs
import numpy as np
import pytest

from headrace.params import EngineParams, SamplingParams
from headrace.params.sampling import FIELDS
from headrace_llamacpp_ffi import library_dir
from tests.integration.driving import Driver, load_decoder_model, prompt
from tests.integration.programs import compile_program
from tests.integration.sampling_cases import CASES, TOGETHER
from tests.support import tiny_gguf

if not list(Path(library_dir).glob("*llama-common*")):
    pytest.skip("this llama.cpp has no libllama-common", allow_module_level=True)

N_TOKENS = 40
SEED = 1234
ON_GEMMA = (
    "default",
    "dist",
    "top_p",
    "typical",
    "dynamic temperature",
    "xtc",
    "top_n_sigma",
    "all penalties, greedy",
    "dry, own breakers",
    "mirostat 1",
    "mirostat 2",
    "adaptive_p",
    "infill",
    "logit bias, greedy",
    *TOGETHER,
)
"""Those in which a large vocabulary takes another way, here or there."""


def _words(params: SamplingParams) -> str:
    """The fields that are not as by default, for the program."""
    words = [f"seed={SEED}"]
    for field in FIELDS:
        value = getattr(params, field.name)
        if value == field.default:
            continue
        if field.name == "dry_sequence_breakers":
            value = ";".join(each.encode().hex() for each in value)
        elif field.name == "logit_bias":
            value = ";".join(f"{token}/{bias!r}" for token, bias in value)
        elif field.name == "samplers":
            value = ";".join(value)
        words.append(f"{field.name}={value}")
    return " ".join(words)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Runs the C++ program: cases in, tokens out."""
    folder = tmp_path_factory.mktemp("reference")
    program = compile_program("reference_sampling.cpp", folder, libraries=["llama-common"])

    def run(model: str, cases: list[str], n_tokens: int) -> list[list[int]]:
        done = subprocess.run(
            [program, model, library_dir, str(n_tokens)],
            input="".join(f"{each}\n" for each in cases),
            capture_output=True,
            text=True,
            check=True,
        )
        return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]

    return run


def _case(words: str, tokens: list[int]) -> str:
    return f"{words} : {' '.join(map(str, tokens))}"


class Compared:
    """What the program drew in each case, and a context to draw the same in."""

    def __init__(self, reference, path: str, names, tokens: list[int], n_tokens: int) -> None:
        self.prompt, self.n_tokens = tokens, n_tokens
        cases = [_case(_words(SamplingParams(**CASES[name])), tokens) for name in names]
        self.expected = dict(zip(names, reference(path, cases, n_tokens), strict=True))
        self.model = load_decoder_model(path)
        self.driver = Driver(self.model, EngineParams(n_ctx=512, n_sequences=1, n_threads=1))

    def drawn(self, params: SamplingParams) -> list[int]:
        """The same, by the plugin."""
        self.driver.truncate(0, 0)
        sampler = self.driver.sampler(params, seed=SEED, recent=self.prompt)
        tokens = self.driver.generate(0, self.prompt, self.n_tokens, sampler)
        sampler.close()
        return tokens

    def close(self) -> None:
        """Free the context and the model."""
        self.driver.decoder.close()
        self.model.close()


@pytest.fixture(scope="module")
def tiny(reference):
    """On the tiny model, after a prompt that repeats itself."""
    path = str(tiny_gguf.path("attention"))
    compared = Compared(reference, path, tuple(CASES), prompt(9) * 3, N_TOKENS)
    yield compared
    compared.close()


@pytest.fixture(scope="module")
def gemma(reference, gemma_path):
    """On Gemma, with its large vocabulary."""
    model = load_decoder_model(gemma_path)
    text = "A rose is a rose is a rose is a"
    tokens = model.vocabulary.tokenize(text, add_special=True, parse_special=False)
    model.close()
    compared = Compared(reference, gemma_path, ON_GEMMA, tokens, 8)
    yield compared
    compared.close()


@pytest.mark.parametrize("name", CASES)
def test_the_tiny_model_writes_what_it_writes_there(tiny, name):
    """Token by token, for the same seed."""
    assert tiny.drawn(SamplingParams(**CASES[name])) == tiny.expected[name]


@pytest.mark.parametrize("name", ON_GEMMA)
def test_gemma_writes_what_it_writes_there(gemma, name):
    """The same with 262,144 tokens to choose from."""
    assert gemma.drawn(SamplingParams(**CASES[name])) == gemma.expected[name]


def test_the_samplers_make_a_difference(tiny):
    """So that equal tokens mean something: hardly any two cases write the same."""
    written = {tuple(tokens) for tokens in tiny.expected.values()}
    assert len(written) > 0.8 * len(CASES)


@pytest.mark.parametrize("kind", ["attention", "window", "recurrent"])
def test_log_probabilities_are_the_softmax_of_llama_cpps_logits(reference, tmp_path, kind):
    """Of the raw logits, whatever the samplers do to them."""
    path, tokens = str(tiny_gguf.path(kind)), prompt(20)
    params = SamplingParams(repeat_penalty=1.5, top_k=5, logit_bias={40: 9.0}, logprobs=10)
    words = _words(attrs.evolve(params, logprobs=None))
    [expected] = reference(path, [_case(f"{words} logits_to={tmp_path}/rows", tokens)], N_TOKENS)
    rows = np.fromfile(tmp_path / "rows", np.float32).reshape(N_TOKENS, -1).astype(np.float64)
    softmax = rows - np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1, keepdims=True))
    softmax -= rows.max(1, keepdims=True)
    model = load_decoder_model(path)
    driver = Driver(model, EngineParams(n_ctx=512, n_sequences=1, n_threads=1))
    sampler = driver.sampler(params, seed=SEED, recent=tokens)
    for expected_token, row in zip(expected, softmax, strict=True):
        [result] = driver.step(driver.row(0, tokens, sampler)).rows
        [each] = result.logprobs
        assert each.token == result.tokens[0] == expected_token
        assert each.logprob == pytest.approx(row[expected_token], abs=1e-6)
        assert [token for token, _ in each.top] == list(np.argsort(-row, kind="stable")[:10])
        assert [logprob for _, logprob in each.top] == pytest.approx(
            sorted(row, reverse=True)[:10], abs=1e-6
        )
        tokens = [expected_token]
    sampler.close()
    driver.decoder.close()
    model.close()
