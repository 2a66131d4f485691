"""``headrace run``: how tokens are chosen, and how likely they were."""

from __future__ import annotations

import json

import pytest

from headrace import SamplingParams


@pytest.fixture
def asked(call, monkeypatch):
    """The params that a command line asks for; the fake is asked to write anyway."""

    def _asked(*arguments: str) -> SamplingParams:
        found = []

        def note(params, info, capabilities) -> None:
            found.append(params)

        monkeypatch.setattr("headrace.session.check_sampling", note)
        ended = call("run", "fake:Hello", "hi", *arguments)
        assert ended.code == 0, ended.err
        return found[0]

    return _asked


def test_without_options_the_defaults_hold(asked):
    """Those of the library."""
    assert asked() == SamplingParams()


def test_the_main_settings_have_options(asked):
    """Under their own names."""
    params = asked(
        *("--temperature", "0.5", "--top-k", "3", "--top-p", "0.9", "--min-p", "0.1"),
        *("--repeat-penalty", "1.1", "--seed", "7", "--logprobs", "2"),
    )
    assert params == SamplingParams(
        temperature=0.5, top_k=3, top_p=0.9, min_p=0.1, repeat_penalty=1.1, seed=7, logprobs=2
    )


def test_every_other_setting_has_a_name_and_a_value(asked):
    """Numbers, names of samplers, JSON."""
    params = asked(
        *("--sampling", "typical_p=0.5", "--sampling", 'logit_bias={"40": -Infinity}'),
        *("--sampling", "samplers=dry;typ_p, temperature", "--sampling", "dry_multiplier=2"),
        *("--sampling", 'dry_sequence_breakers=["\\n", ";"]'),
    )
    assert params == SamplingParams(
        typical_p=0.5,
        logit_bias={40: float("-inf")},
        samplers=("dry", "typ_p", "temperature"),
        dry_multiplier=2,
        dry_sequence_breakers=("\n", ";"),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("typical_p", "--sampling must be NAME=VALUE"),
        ("typical=0.5", "Did you mean 'typical_p'?"),
        ("grammar=x", "no parameter 'grammar'"),
        ("typical_p=much", "--sampling typical_p must be"),
        ("samplers=topk", "Did you mean 'top_k'?"),
        ("logit_bias=3", "--sampling logit_bias must be"),
        ("mirostat_tau=3", "no effect without mirostat"),
    ],
)
def test_a_wrong_setting_is_told_before_the_model_is_loaded(call, given, said):
    """With what to do instead."""
    ended = call("run", "no-such-model.gguf", "hi", "--sampling", given)
    assert ended.code != 0
    assert said in ended.err


def test_a_sampler_that_the_backend_lacks_is_told(call):
    """The fake has few."""
    ended = call("run", "fake:Hello", "hi", "--sampling", "typical_p=0.5")
    assert ended.code != 0
    assert "does not know --sampling typical_p" in ended.err


def test_log_probabilities_are_shown_beside_the_text(call):
    """A line for each token on stderr; the text stays clean."""
    ended = call("run", "-q", "fake:Hi", "x", "--logprobs", "1")
    assert ended.out == "Hi\n"
    assert ended.err.splitlines()[:2] == ["'H' -0.693  | 'H' -0.693", "'i' -0.693  | 'i' -0.693"]
    assert call("run", "-q", "fake:Hi", "x", "--logprobs", "0").err.startswith("'H' -0.693\n")


def test_log_probabilities_are_part_of_the_record(call):
    """For programs."""
    record = json.loads(call("run", "-q", "--json", "fake:Hi", "x", "--logprobs", "1").out)
    assert [each["token"] for each in record["logprobs"]] == record["tokens"]
    assert len(record["logprobs"][0]["top"]) == 1


def test_a_model_that_recommends_nothing_leaves_the_defaults(asked):
    """And options change them."""
    assert asked("--recommended-sampling", "--top-k", "3") == SamplingParams(top_k=3)
