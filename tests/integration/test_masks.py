"""Rows that say what may be sampled."""

from __future__ import annotations

import math
import random

import attrs
import numpy as np
import pytest

from headrace.errors import DecodeError, GrammarError
from headrace.params import SamplingParams
from headrace.protocols import StepStatus
from headrace_llamacpp._native import address, ffi, lib, new_report
from tests.integration.driving import GREEDY, prompt
from tests.integration.masks import mask
from tests.support import tiny_gguf
from tests.support.subprocesses import run_script
from tests.support.tiny_gguf import EOS, N_VOCAB

EVERYTHING = range(N_VOCAB)
OPEN = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}


def masked(driver, sequence, tokens, sampler, *places, draft=()):
    """A row that goes on where the sequence ends, with masks."""
    row = driver.row(sequence, tokens, sampler)
    return attrs.evolve(row, draft=draft, allowed=mask(*places))


def only_row(driver, row):
    """What comes out of a row alone."""
    outcome = driver.step(row)
    assert outcome.status is StepStatus.DONE, outcome
    return outcome.rows[0]


@pytest.fixture
def distribution(open_driver):
    """The log-probabilities of all tokens after a prompt, each as it is reported when forced."""
    driver, found = open_driver(), []
    driver.run(0, prompt(20)[:-1])
    sampler = driver.sampler(SamplingParams(temperature=0.8, logprobs=0))
    for token in EVERYTHING:
        result = only_row(driver, masked(driver, 0, prompt(20)[-1:], sampler, [token]))
        assert result.tokens == (token,)
        found.append(result.logprobs[0].logprob)
        driver.truncate(0, 19)
    return np.array(found)


def test_log_probabilities_are_those_of_the_raw_logits(open_driver, distribution):
    """Whatever the mask: together those of forced tokens are a distribution, the free one."""
    assert math.isclose(np.exp(distribution).sum(), 1.0, abs_tol=1e-5)
    driver = open_driver()
    free = driver.sampler(SamplingParams(temperature=0.0, logprobs=100))
    reported = only_row(driver, driver.row(0, prompt(20), free)).logprobs[0]
    for token, logprob in reported.top:
        assert math.isclose(distribution[token], logprob, abs_tol=1e-4)


def test_greedy_takes_the_likeliest_that_is_allowed(open_driver, distribution):
    """As numpy finds it, under masks of any density."""
    driver, rng = open_driver(), random.Random(2)
    driver.run(0, prompt(20)[:-1])
    for size in (1, 2, 5, 40, 150, N_VOCAB - 5, N_VOCAB):
        allowed = sorted(rng.sample(EVERYTHING, size))
        result = only_row(driver, masked(driver, 0, prompt(20)[-1:], driver.sampler(), allowed))
        assert result.tokens == (allowed[int(np.argmax(distribution[allowed]))],)
        driver.truncate(0, 19)


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0.8},
        {"temperature": 5.0, **OPEN},
        {"temperature": 1.0, **OPEN, "top_k": 3},
        {"temperature": 1.0, **OPEN, "top_p": 0.5},
        {"temperature": 1.0, **OPEN, "min_p": 0.2},
        {"temperature": 0.0, "repeat_penalty": 1.3},
        {"mirostat": 2},
    ],
    ids=str,
)
def test_what_is_drawn_is_allowed(open_driver, params):
    """Also where the likely tokens are all kept out: top-k comes after the mask."""
    driver, rng = open_driver(), random.Random(3)
    sampler = driver.sampler(SamplingParams(**params), seed=4)
    tokens = prompt(20)
    for size in [1, 2, 7, 50, 280] * 8:
        allowed = rng.sample(EVERYTHING, size)
        result = only_row(driver, masked(driver, 0, tokens, sampler, allowed))
        assert result.tokens[0] in allowed
        tokens = result.tokens


@pytest.mark.parametrize(
    ("allowed", "top_k"),
    [(range(3, 40), 0), (range(5, N_VOCAB, 9), 0), (range(0, N_VOCAB, 3), 12), ([8, 250], 0)],
    ids=["beginning", "scattered", "top-k", "two"],
)
def test_draws_follow_the_probabilities_of_what_is_allowed(open_driver, allowed, top_k):
    """Made to add up to one.

    The statistic of right draws is above the bound once in 10^9 seeds (chi-square; Laurent and
    Massart 2000, lemma 1: d + 2 sqrt(d t) + 2 t, with t = 20.7).
    """
    count = 20_000
    logits = np.random.default_rng(5).normal(0, 1.5, N_VOCAB).astype(np.float32)
    params = SamplingParams(temperature=0.7, **{**OPEN, "top_k": top_k})
    sampler = open_driver().sampler(params, seed=6)
    native, bits = ffi.from_buffer("float[]", logits), mask(allowed)
    words = address("uint32_t", bits)
    token, report, seen = ffi.new("int32_t *"), new_report(), np.zeros(N_VOCAB)
    for _ in range(count):
        lib.hr_test_sample(sampler.pointer, native, N_VOCAB, words, token, report)
        seen[token[0]] += 1
    left = np.array(allowed)
    left = left[np.argsort(-logits[left])][: top_k or None]
    assert seen[left].sum() == count
    expected = np.exp(logits[left].astype(np.float64) / 0.7)
    expected *= count / expected.sum()
    freedom, t = len(left) - 1, 20.7
    chi_square = ((seen[left] - expected) ** 2 / expected).sum()
    assert chi_square < freedom + 2 * math.sqrt(freedom * t) + 2 * t


def test_bias_comes_before_the_mask(open_driver):
    """A bias makes an allowed token likely, and one that is not allowed no more possible."""
    driver = open_driver()
    sampler = driver.sampler(SamplingParams(temperature=0.0, logit_bias={70: 90.0, 71: 80.0}))
    result = only_row(driver, masked(driver, 0, prompt(9), sampler, {71, 72, 73}))
    assert result.tokens == (71,)


@pytest.mark.parametrize("params", [GREEDY, SamplingParams(), SamplingParams(top_k=0)])
def test_an_empty_mask_is_an_error_of_its_row(open_driver, params):
    """The row beside it goes on, and so does this one with another mask."""
    driver = open_driver()
    samplers = [driver.sampler(params, seed=1) for _ in range(2)]
    outcome = driver.step(
        masked(driver, 0, prompt(9), samplers[0], []), driver.row(1, prompt(9), samplers[1])
    )
    assert outcome.status is StepStatus.DONE
    dead, alive = outcome.rows
    assert isinstance(dead.error, GrammarError)
    assert "no token that could come next" in str(dead.error)
    assert (dead.length, dead.tokens) == (9, ())
    assert (alive.error, len(alive.tokens)) == (None, 1)
    assert only_row(driver, masked(driver, 0, [5], samplers[0], [77])).tokens == (77,)


def test_a_mask_of_banned_tokens_alone_is_a_dead_end(open_driver):
    """What a bias has taken out is not put in again."""
    driver = open_driver()
    banned = SamplingParams(temperature=0.0, logit_bias={70: -math.inf, EOS: -math.inf})
    for ban_eog in (False, True):
        sampler = driver.sampler(banned, ban_eog=ban_eog)
        result = only_row(driver, masked(driver, 0, prompt(9), sampler, {70, EOS}))
        assert isinstance(result.error, GrammarError)
        driver.decoder.clear(0)
        driver.lengths[0] = 0


def test_without_any_logits_the_mask_is_not_to_blame(open_driver):
    """A model that gives nothing but NaN has another fault."""
    sampler = open_driver().sampler()
    token, report = ffi.new("int32_t *"), new_report()
    nothing = ffi.new("float[]", [math.nan] * N_VOCAB)
    bits = mask(EVERYTHING)
    words = address("uint32_t", bits)
    lib.hr_test_sample(sampler.pointer, nothing, N_VOCAB, words, token, report)
    assert report.status == lib.HR_NO_CANDIDATE


@pytest.mark.parametrize("params", [GREEDY, SamplingParams(), SamplingParams(top_k=0)])
def test_an_end_that_is_ignored_comes_where_nothing_else_is_allowed(open_driver, params):
    """As long as anything else is, that is drawn; without a mask there is no such end."""
    driver = open_driver()
    sampler = driver.sampler(params, ban_eog=True)
    clone = ffi.new("hr_sampler **")
    lib.hr_sampler_clone(sampler.pointer, clone, new_report())
    token, report = ffi.new("int32_t *"), new_report()
    logits = ffi.new("float[]", [0.0] * N_VOCAB)
    logits[EOS] = 90.0
    for pointer in (sampler.pointer, ffi.gc(clone[0], lib.hr_sampler_free)):
        for allowed, expected in (({EOS, 40}, 40), ({EOS}, EOS)):
            bits = mask(allowed)
            words = address("uint32_t", bits)
            lib.hr_test_sample(pointer, logits, N_VOCAB, words, token, report)
            assert (report.status, token[0]) == (lib.HR_OK, expected)
    assert only_row(driver, masked(driver, 0, prompt(9), sampler, {EOS})).tokens == (EOS,)


def test_each_place_of_a_draft_has_its_own_mask(open_driver):
    """Sampling goes on along the draft for as long as what is allowed is what was proposed."""
    driver = open_driver()
    row = masked(driver, 0, prompt(9), driver.sampler(), {50}, {60}, {70}, draft=[50, 60])
    assert only_row(driver, row).tokens == (50, 60, 70)
    assert driver.lengths[0] == 11
    row = masked(driver, 0, [70], driver.sampler(), {50}, {61}, {70}, draft=[50, 60])
    assert only_row(driver, row).tokens == (50, 61)
    assert driver.lengths[0] == 13


def test_a_dead_end_inside_a_draft_keeps_what_came_before(open_driver):
    """The next step comes to that place again, and reports it."""
    driver = open_driver()
    sampler = driver.sampler()
    row = masked(driver, 0, prompt(9), sampler, {50}, [], {70}, draft=[50, 60])
    result = only_row(driver, row)
    assert (result.tokens, result.error, result.length) == ((50,), None, 9)
    result = only_row(driver, masked(driver, 0, [50], sampler, []))
    assert isinstance(result.error, GrammarError)


def test_rows_have_their_own_masks(open_driver):
    """Beside one that has none, and one with a draft."""
    driver = open_driver()
    outcome = driver.step(
        masked(driver, 2, prompt(4), driver.sampler(), {90}),
        driver.row(0, prompt(5), driver.sampler()),
        masked(driver, 1, prompt(6), driver.sampler(), {50}, {51}, draft=[50]),
    )
    assert [row.tokens for row in outcome.rows][::2] == [(90,), (50, 51)]
    alone = open_driver().run(0, prompt(5), driver.sampler())
    assert outcome.rows[1].tokens == (alone,)


@pytest.mark.parametrize("n_bytes", [0, 1, 32, 35, 37, 40, 72])
def test_masks_of_another_length_are_refused(open_driver, n_bytes):
    """Before llama.cpp is called, with the length that is expected."""
    driver = open_driver()
    row = driver.row(0, prompt(9), driver.sampler())
    row.allowed = memoryview(bytearray(n_bytes))
    with pytest.raises(ValueError, match=f"{n_bytes} bytes, not 36"):
        driver.decoder.step(1, [row])
    row.draft, row.allowed = [5], mask(EVERYTHING)
    with pytest.raises(ValueError, match="36 bytes, not 72"):
        driver.decoder.step(2, [row])
    assert driver.run(0, prompt(9), driver.sampler()) is not None


def test_a_step_that_is_refused_forgets_its_masks(open_driver):
    """The buffer can be resized, and the rows that follow have none."""
    driver, bits = open_driver(), bytearray(mask([40]))
    row = driver.row(0, prompt(9), driver.sampler())
    row.allowed, row.position = memoryview(bits), 3
    with pytest.raises(DecodeError, match="does not begin"):
        driver.decoder.step(1, [row])
    row.allowed = None
    bits.clear()
    assert driver.run(0, prompt(9), driver.sampler()) != 40


def test_a_cycle_that_leads_to_masks_can_be_collected():
    """Such as that of an error that is kept: nothing in it is an export of a view."""
    ended = run_script(
        """
        import gc, sys, types
        from headrace.params import EngineParams
        from tests.integration.driving import Driver, load_decoder_model
        from tests.integration.masks import mask
        driver = Driver(load_decoder_model(sys.argv[1]), EngineParams(n_ctx=64, n_sequences=2))

        def collect(act):
            view = mask([40])
            kept = types.SimpleNamespace(view=view)
            try:
                act(view)
            except Exception as error:
                kept.error, kept.kept = error, kept
            del view, kept
            gc.collect()

        def step(view):
            rows = [driver.row(0, [5], driver.sampler()), driver.row(1, [5], driver.sampler())]
            rows[0].allowed, rows[1].allowed = view, view[:4]
            driver.step(*rows)

        for _ in range(20):
            collect(step)
            collect(lambda view: driver.decoder.import_state(9, view))
        print("sound")
        driver.decoder.close()
        driver.model.close()
        """,
        tiny_gguf.path("attention"),
    )
    assert (ended.code, ended.output, ended.errors) == (0, "sound\n", "")


def test_an_end_that_infill_puts_in_is_not_drawn(open_driver):
    """llama.cpp's sampler does so where nothing is likely, whatever was taken out before."""
    driver = open_driver()
    params = SamplingParams(samplers=("temperature", "infill"), temperature=50.0)
    for seed in range(20):
        sampler = driver.sampler(params, seed=seed)
        result = only_row(driver, masked(driver, 0, [5], sampler, range(40, 60)))
        assert 40 <= result.tokens[0] < 60
