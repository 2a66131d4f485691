"""Whatever the settings and the logits: a token drawn is one that they allow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.params import DEFAULT_SAMPLERS, READS, SamplingParams
from headrace_llamacpp._native import address, ffi, lib, new_report
from tests.integration.masks import mask
from tests.support.tiny_gguf import N_VOCAB

_SLACK = 1e-4
"""Where a float32 sum may fall on the other side of a boundary."""

checked = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def draw(open_driver):
    """Draws tokens from logits with one sampler."""
    decoder = open_driver().decoder

    def _draw(logits, params, *, count, recent=(), allowed=None):
        sampler = decoder.new_sampler(params, seed=3, recent=recent, ban_eog=False)
        native, token, report = ffi.new("float[]", logits), ffi.new("int32_t *"), new_report()
        words = ffi.NULL if allowed is None else address("uint32_t", allowed)
        out = []
        for _ in range(count):
            lib.hr_test_sample(sampler.pointer, native, len(logits), words, token, report)
            assert report.status == lib.HR_OK, ffi.string(report.message)
            out.append(token[0])
        sampler.close()
        return out

    return _draw


def _logits(low: int, high: int) -> st.SearchStrategy[list[float]]:
    """Different numbers, so that no order of equals is in question."""
    return st.lists(st.integers(low, high), unique=True, min_size=2, max_size=N_VOCAB).map(
        lambda numbers: [number / 64 for number in numbers]
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _allowed(logits: list[float], params: SamplingParams) -> set[int]:
    """What bias, top-n-sigma, top-k, top-p and min-p leave, in this order."""
    values = np.array(logits, np.float64)
    for token, bias in params.logit_bias:
        if token < len(values):
            values[token] += bias
    left = np.flatnonzero(values > -np.inf)
    left = left[np.argsort(-values[left], kind="stable")]
    if params.top_n_sigma > 0:
        limit = values[left].max() - params.top_n_sigma * values[left].std() - _SLACK
        left = left[values[left] >= limit]
    if params.top_k:
        left = left[: params.top_k]
    if params.top_p < 1:
        before = np.cumsum(_softmax(values[left])) - _softmax(values[left])
        left = left[before <= params.top_p + _SLACK]
    if params.min_p > 0:
        share = np.exp(values[left] - values[left].max())
        left = left[share >= params.min_p - _SLACK]
    return set(map(int, left))


@checked
@given(
    logits=_logits(-600, 600),
    top_k=st.integers(0, 300),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1),
    top_n_sigma=st.sampled_from([-1.0, 0.5, 1.0, 3.0]),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 10.0]),
    bias=st.dictionaries(st.integers(0, 20), st.sampled_from([-math.inf, -2.5, 1.25]), max_size=1),
)
def test_a_token_is_inside_the_set_that_the_filters_leave(
    draw, logits, top_k, top_p, min_p, top_n_sigma, temperature, bias
):
    """Of the filters that leave a set, in the default order; greedy takes its best."""
    params = SamplingParams(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, top_n_sigma=top_n_sigma,
        logit_bias=bias,
    )  # fmt: skip
    allowed = _allowed(logits, params)
    drawn = draw(logits, params, count=8)
    assert set(drawn) <= allowed
    if temperature == 0.0:
        values = [each + bias.get(token, 0.0) for token, each in enumerate(logits)]
        assert set(map(values.__getitem__, drawn)) == {max(values)}


def _fields(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, object]]:
    """Any values for the fields that these samplers read."""
    values: dict[str, st.SearchStrategy[object]] = {
        "repeat_last_n": st.integers(-1, 40),
        "repeat_penalty": st.floats(0.5, 3),
        "frequency_penalty": st.floats(-2, 2),
        "presence_penalty": st.floats(-2, 2),
        "dry_multiplier": st.floats(0, 5),
        "dry_base": st.floats(1, 4),
        "dry_allowed_length": st.integers(0, 5),
        "dry_penalty_last_n": st.integers(-1, 40),
        "dry_sequence_breakers": st.lists(st.sampled_from(["\n", "the", "é", "a b"]), max_size=2),
        "top_n_sigma": st.floats(-1, 4),
        "top_k": st.integers(0, 300),
        "typical_p": st.floats(0.01, 1),
        "top_p": st.floats(0.01, 1),
        "min_p": st.floats(0, 1),
        "xtc_probability": st.floats(0, 1),
        "xtc_threshold": st.floats(0, 0.6),
        "temperature": st.one_of(st.just(0.0), st.floats(0.01, 5)),
        "dynatemp_range": st.floats(0, 3),
        "dynatemp_exponent": st.floats(0.1, 3),
        "adaptive_target": st.floats(-1, 1),
        "adaptive_decay": st.floats(0, 0.99),
    }
    wanted = {name: values[name] for sampler in names for name in READS[sampler]}
    return st.fixed_dictionaries({}, optional=wanted)


@st.composite
def _any_params(draw_: st.DrawFn) -> SamplingParams:
    """Any samplers in any order, with any values."""
    order = tuple(draw_(st.permutations(sorted(READS))))
    order = order[: draw_(st.integers(0, len(order)))]
    if draw_(st.booleans()):
        order = DEFAULT_SAMPLERS
    banned = draw_(st.sets(st.integers(0, 30), max_size=5))
    return SamplingParams(
        samplers=order,
        min_keep=draw_(st.integers(0, 4)),
        logit_bias=dict.fromkeys(banned, -math.inf),
        **draw_(_fields(order)),
    )


@checked
@given(
    logits=st.lists(st.integers(-600, 600), min_size=N_VOCAB, max_size=N_VOCAB),
    params=_any_params(),
    recent=st.lists(st.integers(0, N_VOCAB - 1), max_size=60),
)
def test_any_samplers_in_any_order_choose_a_token_that_is_not_banned(draw, logits, params, recent):
    """Nothing aborts, and the logits of what is banned stay where they are."""
    banned = {token for token, _ in params.logit_bias}
    drawn = draw([each / 64 for each in logits], params, count=6, recent=recent)
    assert all(0 <= token < N_VOCAB for token in drawn)
    if "infill" not in params.samplers:  # which may end the text whatever the bias says
        assert not banned & set(drawn)


@checked
@given(
    logits=_logits(-600, 600),
    version=st.integers(1, 2),
    tau=st.floats(0, 10),
    eta=st.floats(0, 1),
    temperature=st.floats(0, 5),
)
def test_mirostat_always_finds_a_token(draw, logits, version, tau, eta, temperature):
    """Whatever surprise it is asked for."""
    params = SamplingParams(
        mirostat=version, mirostat_tau=tau, mirostat_eta=eta, temperature=temperature
    )
    assert all(0 <= token < len(logits) for token in draw(logits, params, count=10))


@checked
@given(
    logits=st.lists(st.integers(-600, 600), min_size=N_VOCAB, max_size=N_VOCAB),
    params=_any_params(),
    recent=st.lists(st.integers(0, N_VOCAB - 1), max_size=60),
    words=st.lists(st.sampled_from([0, 1, 2**31, 2**32 - 1, 0xFFFFFFFE, 0x80010040]), min_size=9),
    few=st.sets(st.integers(31, N_VOCAB - 1), min_size=1, max_size=4),
)
def test_what_a_mask_keeps_out_is_drawn_as_if_it_had_no_logit(
    draw, logits, params, recent, words, few
):
    """By all samplers in all orders, token for token: masking comes before them."""
    bits = [bool(words[token // 32] >> token % 32 & 1) for token in range(N_VOCAB)]
    allowed = {token for token in range(N_VOCAB) if bits[token]} | few
    scaled = [each / 64 for each in logits]
    holes = [each if token in allowed else -math.inf for token, each in enumerate(scaled)]
    drawn = draw(scaled, params, count=6, recent=recent, allowed=mask(allowed))
    assert set(drawn) <= allowed
    assert drawn == draw(holes, params, count=6, recent=recent)
