"""LoRA adapters and control vectors of llama.cpp: what they compute, and files that are wrong."""

from __future__ import annotations

import shutil
import threading

import gguf
import numpy as np
import pytest

import headrace
from headrace import (
    ClosedError,
    ControlVectorUse,
    EngineParams,
    ModelFormatError,
    ModelLoadError,
    ModelNotFoundError,
    ModelParams,
    SamplingParams,
    SessionParams,
    UnsupportedError,
)
from headrace.protocols import AppliedAdapter
from headrace_llamacpp._native import ffi, lib, new_report
from tests.integration.conftest import KINDS
from tests.support import tiny_adapters, tiny_gguf
from tests.support.subprocesses import run_script
from tests.support.tiny_gguf import N_EMBD, N_VOCAB

GREEDY = SamplingParams(temperature=0.0)
LOGPROBS = SamplingParams(temperature=0.0, logprobs=5)
ENGINE = EngineParams(n_ctx=512, n_threads=1)
PROMPTS = ("Once upon a time", "the king and the queen", "0123456789")


def open_model(path, **params):
    """A model with an engine around it."""
    return headrace.load_model(
        path, backend="llamacpp", engine=ENGINE, params=ModelParams(**params)
    )


def likelihoods(model, **params):
    """Tokens and log-probabilities of a few generations."""
    found = []
    with model.open_session(SessionParams(**params)) as session:
        for prompt in PROMPTS:
            session.reset()
            done = session.complete(prompt, sampling=LOGPROBS, max_tokens=24, ignore_eog=True)
            found.extend((each.token, each.logprob) for each in done.logprobs)
    return found


def assert_alike(left, right):
    """The same tokens, and as likely, but for rounding."""
    assert [token for token, _ in left] == [token for token, _ in right]
    np.testing.assert_allclose(
        [logprob for _, logprob in left], [logprob for _, logprob in right], atol=2e-3
    )


@pytest.mark.parametrize("scale", [1.0, -0.5])
def test_an_adapter_computes_what_merged_weights_do(kind, scale):
    """W + scale · alpha / rank · B · A, as numpy has it."""
    merged = tiny_gguf.changed(kind, f"merged{scale}", tiny_adapters.deltas(kind, {1: scale}))
    with open_model(merged) as wanted, open_model(tiny_gguf.path(kind)) as model:
        adapter = model.load_adapter(tiny_adapters.lora(kind, 1))
        got = likelihoods(model, adapters=[(adapter, scale)])
        assert_alike(got, likelihoods(wanted))
        assert got != likelihoods(model)


def test_two_adapters_compute_what_their_sum_does(kind):
    """Each with its own scale."""
    sums = tiny_adapters.deltas(kind, {1: 0.5, 2: 1.0})
    merged = tiny_gguf.changed(kind, "merged-both", sums)
    with open_model(merged) as wanted, open_model(tiny_gguf.path(kind)) as model:
        first = model.load_adapter(tiny_adapters.lora(kind, 1))
        second = model.load_adapter(tiny_adapters.lora(kind, 2))
        got = likelihoods(model, adapters=[(first, 0.5), second])
        assert_alike(got, likelihoods(wanted))


def test_what_does_not_act_changes_no_bit(kind):
    """Scale and strength 0, and vectors that cancel, give the very same numbers."""
    with open_model(tiny_gguf.path(kind)) as model:
        plain = likelihoods(model)
        adapter = model.load_adapter(tiny_adapters.lora(kind, 1))
        vector = model.load_control_vector(tiny_adapters.vector(kind, 1))
        opposite = model.load_control_vector(tiny_adapters.vector(kind, 1, sign=-1))
        assert likelihoods(model, adapters=[(adapter, 0)]) == plain
        assert likelihoods(model, control_vectors=[(vector, 0)]) == plain
        assert likelihoods(model, control_vectors=[vector, opposite]) == plain
        assert likelihoods(model, control_vectors=[vector]) != plain


def test_control_vectors_add_up(kind):
    """Twice the strength is the vector twice; half and half is the whole."""
    with open_model(tiny_gguf.path(kind)) as model:
        one, same = (model.load_control_vector(tiny_adapters.vector(kind, 1)) for _ in range(2))
        once = likelihoods(model, control_vectors=[one])
        assert likelihoods(model, control_vectors=[(one, 0.5), (same, 0.5)]) == once
        twice = likelihoods(model, control_vectors=[(one, 2.0)])
        assert likelihoods(model, control_vectors=[one, same]) == twice
        assert once != twice


def test_a_control_vector_acts_on_the_layers_that_are_named():
    """The parts of a range make the whole; each alone is another thing."""
    with open_model(tiny_gguf.path("window")) as model:
        whole, again = (
            model.load_control_vector(tiny_adapters.vector("window", 1)) for _ in range(2)
        )
        assert whole.info.layers == (1, 5)
        low = ControlVectorUse(whole, 1.0, last_layer=2)
        high = ControlVectorUse(again, 1.0, first_layer=3)
        wanted = likelihoods(model, control_vectors=[whole])
        assert likelihoods(model, control_vectors=[low, high]) == wanted
        assert likelihoods(model, control_vectors=[low]) != wanted
        beyond = ControlVectorUse(whole, 1.0, first_layer=9)
        assert likelihoods(model, control_vectors=[beyond]) == likelihoods(model)


def test_a_direction_of_the_last_layer_is_added_before_the_output(tmp_path):
    """Along the output matrix's own rows, it raises exactly the token of that row."""
    model_path = tiny_gguf.path("attention")
    output = next(
        tensor for tensor in gguf.GGUFReader(model_path).tensors if tensor.name == "output.weight"
    ).data
    token = 42
    path = tiny_adapters.write_vector(tmp_path / "v.gguf", {1: output[token] * 1000})
    with open_model(model_path) as model:
        vector = model.load_control_vector(path)
        with model.open_session(SessionParams(control_vectors=[vector])) as session:
            got = session.complete("Hello", sampling=GREEDY, max_tokens=8, ignore_eog=True)
    direction = output[token] / np.sqrt(np.mean(output[token] ** 2))
    assert set(got.tokens) == {int(np.argmax(output @ direction))}


def test_what_the_file_says_is_told(tmp_path):
    """Alpha, rank, task and invocation tokens of an adapter; layers of a vector."""
    path = tiny_adapters.write_lora(
        tmp_path / "a.gguf",
        "llama",
        tiny_adapters.factors("attention", 1),
        alpha=1e-7,
        invocation=(5, 6, 7),
    )
    with open_model(tiny_gguf.path("attention")) as model:
        info = model.load_adapter(path).info
        assert (info.name, info.path, info.architecture) == ("lora", str(path), "llama")
        assert (info.alpha, info.rank, info.task) == (
            pytest.approx(1e-7),
            tiny_adapters.RANK,
            "testing",
        )
        assert info.invocation_tokens == (5, 6, 7)
        assert info.n_tensors == 8
        assert info.metadata["adapter.type"] == "lora"
        pairs = tiny_adapters.factors("attention", 1).values()
        assert info.size_bytes == sum(a.nbytes + b.nbytes for a, b in pairs)
        vector = model.load_control_vector(tiny_adapters.vector("attention")).info
        assert (vector.layers, vector.architecture, vector.alpha) == ((1, 1), "llama", None)


def _pair(n_out, n_in, rank=4, rank_b=None, dtype=np.float32):
    return np.ones((rank, n_in), dtype), np.ones((n_out, rank_b or rank), dtype)


_Q = "blk.0.attn_q.weight"
MISFITS = {
    "other architecture": ("mamba", {_Q: _pair(N_EMBD, N_EMBD)}, ModelLoadError),
    "wider": ("llama", {_Q: _pair(N_EMBD, 2 * N_EMBD)}, ModelLoadError),
    "taller": ("llama", {_Q: _pair(2 * N_EMBD, N_EMBD)}, ModelLoadError),
    "no such matrix": ("llama", {"blk.9.attn_q.weight": _pair(N_EMBD, N_EMBD)}, ModelLoadError),
    "two ranks": ("llama", {_Q: _pair(N_EMBD, N_EMBD, 4, 8)}, ModelFormatError),
    "integers": ("llama", {_Q: _pair(N_EMBD, N_EMBD, dtype=np.int32)}, ModelFormatError),
    "three dimensions": (
        "llama",
        {_Q: tuple(np.ones((2, *each.shape), np.float32) for each in _pair(N_EMBD, N_EMBD))},
        ModelLoadError,
    ),
    "embedding of two ranks": (
        "llama",
        {"token_embd.weight": (np.ones((N_VOCAB, 4), "f"), np.ones((N_EMBD, 8), "f"))},
        ModelFormatError,
    ),
    "nothing": ("llama", {}, ModelFormatError),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_an_adapter_that_does_not_fit_is_refused(tmp_path, misfit):
    """When it is loaded: llama.cpp would end the process when it computes with some of them."""
    architecture, pairs, kind = MISFITS[misfit]
    path = tiny_adapters.write_lora(tmp_path / "misfit.gguf", architecture, pairs)
    with open_model(tiny_gguf.path("attention")) as model:
        with pytest.raises(kind, match=r"misfit\.gguf") as caught:
            model.load_adapter(path)
        assert caught.value.backend == "llamacpp"


def test_an_adapter_of_the_embedding_is_applied(tmp_path):
    """Where the output has a matrix of its own; it is what the merged matrix is."""
    random = np.random.default_rng(3)
    a = random.standard_normal((N_VOCAB, 4)).astype(np.float32)
    b = random.standard_normal((N_EMBD, 4)).astype(np.float32)
    path = tiny_adapters.write_lora(
        tmp_path / "e.gguf", "llama", {"token_embd.weight": (a, b)}, alpha=4.0
    )
    merged = tiny_gguf.changed("attention", "embedding", {"token_embd.weight": a @ b.T})
    with open_model(merged) as wanted, open_model(tiny_gguf.path("attention")) as model:
        adapter = model.load_adapter(path)
        assert_alike(likelihoods(model, adapters=[adapter]), likelihoods(wanted))


def test_an_adapter_of_an_embedding_that_is_the_output_too_is_refused(tmp_path, gemma_path):
    """llama.cpp would multiply the wrong way round, and end the process."""
    with open_model(gemma_path) as model:
        n_vocab = model.info.n_vocab
        n_embd = int(model.info.metadata["gemma3.embedding_length"])
        pair = np.ones((n_vocab, 1), np.float32), np.ones((n_embd, 1), np.float32)
        path = tiny_adapters.write_lora(tmp_path / "e.gguf", "gemma3", {"token_embd.weight": pair})
        with pytest.raises(ModelLoadError, match="output matrix"):
            model.load_adapter(path)


VECTOR_MISFITS = {
    "wider": ({1: np.ones(2 * N_EMBD, np.float32)}, "llama", ModelLoadError),
    "deeper": ({2: np.ones(N_EMBD, np.float32)}, "", ModelLoadError),
    "other architecture": ({1: np.ones(N_EMBD, np.float32)}, "mamba", ModelLoadError),
    "layer 0": ({0: np.ones(N_EMBD, np.float32)}, "", ModelFormatError),
    "half floats": ({1: np.ones(N_EMBD, np.float16)}, "", ModelFormatError),
    "a matrix": ({1: np.ones((2, N_EMBD), np.float32)}, "", ModelFormatError),
    "not finite": ({1: np.full(N_EMBD, np.nan, np.float32)}, "", ModelFormatError),
    "nothing": ({}, "llama", ModelFormatError),
}


@pytest.mark.parametrize("misfit", VECTOR_MISFITS)
def test_a_control_vector_that_does_not_fit_is_refused(tmp_path, misfit):
    """When it is loaded."""
    made, hint, kind = VECTOR_MISFITS[misfit]
    path = tiny_adapters.write_vector(tmp_path / "misfit.gguf", made, hint=hint)
    with (
        open_model(tiny_gguf.path("attention")) as model,
        pytest.raises(kind, match=r"misfit\.gguf"),
    ):
        model.load_control_vector(path)


def test_files_of_another_kind_are_refused(tmp_path):
    """Absent, text, a folder, a model, and each for the other."""
    text = tmp_path / "text.gguf"
    text.write_text("no adapter")
    lora, vector = tiny_adapters.lora("attention"), tiny_adapters.vector("attention")
    model_path = tiny_gguf.path("attention")
    with open_model(model_path) as model:
        for load, others in (
            (model.load_adapter, (vector, model_path)),
            (model.load_control_vector, (lora, model_path)),
        ):
            with pytest.raises(ModelNotFoundError, match="there is no"):
                load(tmp_path / "absent.gguf")
            for path in (text, tmp_path, *others):
                with pytest.raises(ModelFormatError):
                    load(path)


def test_a_vocabulary_loads_no_adapter():
    """There is nothing to add it to."""
    with open_model(tiny_gguf.path("attention"), vocab_only=True) as model:
        for load in (model.load_adapter, model.load_control_vector):
            with pytest.raises(UnsupportedError, match="loads no"):
                load(tiny_adapters.lora("attention"))


_DAMAGED = """
    import random, sys, tempfile
    from pathlib import Path
    from headrace import HeadraceError, SamplingParams, SessionParams
    from tests.integration.test_adapters import open_model

    model_path, method, field = sys.argv[1], sys.argv[3], sys.argv[4]
    whole, seed, count = Path(sys.argv[2]).read_bytes(), int(sys.argv[5]), int(sys.argv[6])
    rng = random.Random(seed)
    path = Path(tempfile.mkdtemp()) / "damaged.gguf"
    with open_model(model_path) as model:
        for number in range(count):
            data = bytearray(whole)
            for _ in range(rng.choice((1, 1, 2, 4))):
                at = rng.randrange(4, min(len(data), 1400))
                size = rng.choice((1, 4, 8))
                if rng.random() < 0.5:
                    data[at] ^= 1 << rng.randrange(8)
                else:
                    data[at : at + size] = rng.choice((b"\\xff" * size, bytes(size)))
            if rng.random() < 0.2:
                del data[rng.randrange(8, len(data)) :]
            path.write_bytes(data)
            try:
                with getattr(model, method)(path) as loaded:
                    params = SessionParams(**{field: [loaded]})
                    with model.open_session(params) as session:
                        session.complete([5, 6, 7], max_tokens=2, ignore_eog=True)
                print("used")
            except HeadraceError as error:
                print(type(error).__name__)
"""


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("method", "field", "make"),
    [
        ("load_adapter", "adapters", tiny_adapters.lora),
        ("load_control_vector", "control_vectors", tiny_adapters.vector),
    ],
)
def test_a_damaged_file_never_ends_the_process(method, field, make, seed):
    """Bits flipped, numbers overwritten, ends cut off: it is used, or a typed error."""
    count = 150
    ended = run_script(
        _DAMAGED, tiny_gguf.path("attention"), make("attention"), method, field, seed, count
    )
    assert ended.code == 0, ended.errors[-2000:]
    outcomes = ended.output.split()
    assert len(outcomes) == count
    assert outcomes.count("ModelFormatError") > count // 4


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_outlives_its_file(kind, tmp_path):
    """It is in memory."""
    path = tmp_path / "gone.gguf"
    shutil.copy(tiny_adapters.lora(kind, 1), path)
    with open_model(tiny_gguf.path(kind)) as model:
        adapter = model.load_adapter(path)
        path.unlink()
        wanted = model.load_adapter(tiny_adapters.lora(kind, 1))
        assert likelihoods(model, adapters=[adapter]) == likelihoods(model, adapters=[wanted])


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_are_loaded_and_closed_while_sessions_compute_with_others(kind):
    """A model's set of adapters is changed by one thread while another one uses it."""
    with open_model(tiny_gguf.path(kind)) as model:
        kept = model.load_adapter(tiny_adapters.lora(kind, 1))
        wanted = likelihoods(model, adapters=[kept]), likelihoods(model)
        stop = threading.Event()
        errors = []

        def come_and_go():
            try:
                while not stop.is_set():
                    model.load_adapter(tiny_adapters.lora(kind, 2)).close()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            for _ in range(5):
                got = likelihoods(model, adapters=[kept]), likelihoods(model)
                assert got == wanted
        finally:
            stop.set()
            thread.join()
        assert errors == []


def test_a_closed_adapter_stays_while_a_context_has_it(open_driver):
    """Nothing dangles: it is freed when the context is given others."""
    driver = open_driver("attention")
    adapter = driver.model.load_adapter(str(tiny_adapters.lora("attention", 1)))
    driver.decoder.use_adapters([AppliedAdapter(adapter)])
    changed = driver.generate(0, [5, 6, 7], 8)
    adapter.close()
    assert driver.generate(1, [5, 6, 7], 8) == changed
    with pytest.raises(ClosedError):
        driver.decoder.use_adapters([AppliedAdapter(adapter)])
    driver.decoder.use_adapters([])
    assert driver.generate(2, [5, 6, 7], 8) != changed


def test_an_adapter_of_another_model_is_refused_before_llama_cpp_sees_it(open_driver, load):
    """By the shim too."""
    driver = open_driver("attention")
    adapter = load("attention").load_adapter(str(tiny_adapters.lora("attention", 1)))
    uses = ffi.new("hr_use[1]", [{"adapter": adapter.pointer, "scale": 1.0}])
    report = new_report()
    lib.hr_use_adapters(driver.decoder._context, uses, 1, report)
    assert report.status == lib.HR_BAD_ARGUMENT
    assert not report.poisoned
    adapter.close()
