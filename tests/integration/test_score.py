"""Log-probabilities of a text, against llama.cpp's own logits."""

from __future__ import annotations

import signal
import subprocess
import threading

import pytest

import headrace
from headrace import DecodeError, EngineParams
from headrace.protocols import ScoreRow, ScoringDecoder, StepStatus
from headrace_llamacpp_ffi import library_dir
from tests.integration.driving import Driver, prompt
from tests.integration.programs import compile_program

LIMIT = 64 << 20
TEXTS = (
    "The capital of France is Paris, and that of Germany is Berlin.",
    "日本の首都は東京です。",
    "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)",
    "xqzt vrrk 0x7f",
)


def scored(driver: Driver, sequence: int, tokens: list[int], targets: list[int], n_top: int = 0):
    """One call, noted."""
    driver.step_id += 1
    row = ScoreRow(sequence, driver.lengths[sequence], tokens, targets, n_top)
    outcome = driver.decoder.score(driver.step_id, row)
    driver.lengths[sequence] = outcome.length
    return outcome


def test_a_call_takes_as_many_targets_as_its_logits_have_room_for(open_driver, kind):
    """And one more is refused before llama.cpp asserts."""
    driver = open_driver(kind, n_batch=128)
    assert isinstance(driver.decoder, ScoringDecoder)
    limit = driver.decoder.score_limit
    assert limit == 128  # as many as a batch, as long as they take no more than 64 MiB
    tokens = prompt(limit + 1)
    outcome = scored(driver, 0, tokens[:-1], tokens[1:])
    assert outcome.status is StepStatus.DONE
    assert [each.token for each in outcome.logprobs] == tokens[1:]
    assert outcome.length == limit


def test_nothing_but_the_vocabulary_is_scored(open_driver):
    """Each of these would be an assertion, or read what is not there."""
    driver = open_driver()
    n_vocab = driver.model.vocabulary.n_tokens
    for target in (n_vocab, -2):
        outcome = scored(driver, 0, [3], [target])
        assert outcome.status is StepStatus.FAILED
        assert isinstance(outcome.error, DecodeError)
        assert "not in the vocabulary" in str(outcome.error)
    assert scored(driver, 0, [3], [n_vocab - 1], n_vocab + 5).status is StepStatus.DONE


def test_the_probabilities_of_all_tokens_add_up_to_one(open_driver, kind):
    """It is a distribution, and the top are its largest, in order."""
    driver = open_driver(kind)
    n_vocab = driver.model.vocabulary.n_tokens
    outcome = scored(driver, 0, prompt(20), prompt(20, 1), n_vocab)
    for each in outcome.logprobs:
        values = [logprob for _, logprob in each.top]
        assert values == sorted(values, reverse=True)
        assert sum(2.718281828459045**value for value in values) == pytest.approx(1.0)
        assert dict(each.top)[each.token] == each.logprob


def test_an_interrupted_call_says_what_memory_holds(open_driver, kind):
    """Going on from there gives what an undisturbed call gives."""
    driver, calm = open_driver(kind, n_ubatch=32), open_driver(kind, n_ubatch=32)
    tokens = prompt(129)
    expected = scored(calm, 0, tokens[:-1], tokens[1:]).logprobs
    headrace_lib, context = _lib(), driver.decoder._context
    headrace_lib.hr_test_interrupt_after(context, 100)
    outcome = scored(driver, 0, tokens[:-1], tokens[1:])
    headrace_lib.hr_test_interrupt_after(context, -1)
    assert outcome.status is StepStatus.INTERRUPTED
    at = outcome.length
    rest = scored(driver, 0, tokens[at:-1], tokens[at + 1 :])
    assert rest.status is StepStatus.DONE
    found = [each.logprob for each in rest.logprobs]
    assert found == pytest.approx([each.logprob for each in expected[at:]], abs=2e-2)


def _lib():
    from headrace_llamacpp._native import lib

    return lib


def test_log_probabilities_are_llama_cpps(gemma_path, tmp_path):
    """Those of one batch, by a softmax in long doubles."""
    program = compile_program("reference_score.cpp", tmp_path)
    with headrace.load_model(gemma_path, engine=EngineParams(n_ctx=512, n_threads=1)) as model:
        session = model.open_session()
        scores = [session.score(text) for text in TEXTS]
    done = subprocess.run(
        [program, gemma_path, library_dir],
        input="".join(" ".join(map(str, score.tokens)) + "\n" for score in scores),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    for score, line in zip(scores, lines, strict=True):
        assert score.logprobs[1:] == pytest.approx([float(word) for word in line.split()], abs=1e-5)


def test_perplexity_on_a_real_model(gemma_path):
    """Sense is likelier than nonsense, by far."""
    engine = EngineParams(n_ctx=512, n_threads=1)
    with headrace.load_model(gemma_path, engine=engine) as model, model.open_session() as session:
        sense = session.score("The capital of France is Paris.", top=3)
        nonsense = session.score("Paris the is. France capital of The")
        assert sense.perplexity < 50 < 500 < nonsense.perplexity
        of = sense.pieces.index(b" of")
        assert sense.top[of][0][0] == sense.tokens[of]
        assert session._engine.decoder.score_limit == LIMIT // (4 * model.info.n_vocab)


def test_ctrl_c_ends_a_long_score(gemma_path):
    """Inside the native call; the session is as it was, and scores again."""
    engine = EngineParams(n_ctx=4096, n_threads=1)
    with headrace.load_model(gemma_path, engine=engine) as model, model.open_session() as session:
        session.complete("The capital of France is", max_tokens=0)
        history = session.tokens
        told = []

        def progress(share):
            told.append(share)
            if len(told) == 1:  # the next call is about to begin
                main = threading.main_thread().ident
                threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT)).start()

        with pytest.raises(KeyboardInterrupt):
            session.score([1000 + i for i in range(3000)], progress=progress)
        assert told[-1] < 1
        assert session.tokens == history
        assert session.score(" Paris").total > -3
