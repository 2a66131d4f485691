"""The fields of a request that choose tokens, in the words of OpenAI's API and of llama-server."""

from __future__ import annotations

import re
from typing import Any

import attrs
import msgspec

import headrace
from headrace.errors import GrammarError, ParamsError
from headrace.grammar import Gbnf
from headrace.params.sampling import MAX_SEED
from headrace_server.errors import ApiError, in_words_of_requests

_SAME = (
    *("temperature", "top_p", "top_k", "min_p", "typical_p", "top_n_sigma"),
    *("xtc_probability", "xtc_threshold", "dynatemp_range", "dynatemp_exponent"),
    *("repeat_penalty", "repeat_last_n", "presence_penalty", "frequency_penalty"),
    *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n"),
    *("dry_sequence_breakers", "adaptive_target", "adaptive_decay"),
    *("mirostat", "mirostat_tau", "mirostat_eta", "min_keep", "samplers"),
)
_BAN = float("-inf")


class Sampling(msgspec.Struct, kw_only=True):
    """How tokens are chosen; what is left out is as the model's makers recommend."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    top_n_sigma: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    dynatemp_range: float | None = None
    dynatemp_exponent: float | None = None
    repeat_penalty: float | None = None
    repetition_penalty: float | None = None
    repeat_last_n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: list[str] | None = None
    adaptive_target: float | None = None
    adaptive_decay: float | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    min_keep: int | None = None
    samplers: list[str] | None = None
    seed: int | None = None
    logit_bias: dict[str, float | bool] | list[tuple[int, float | bool]] | None = None
    grammar: str | None = None
    stop: str | list[str] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


def sampling_params(
    asked: Sampling,
    recommended: headrace.SamplingParams,
    *,
    logprobs: int | None = None,
    logprobs_field: str = "top_logprobs",
) -> headrace.SamplingParams:
    """The values for headrace.

    Args:
        asked: What the request says.
        recommended: What holds where it says nothing.
        logprobs: Most likely tokens to name beside each; 0: each alone; None: none.
        logprobs_field: What the request calls that.

    Raises:
        ApiError: For a value outside its range, naming the field.
    """
    given: dict[str, Any] = {
        name: value for name in _SAME if (value := getattr(asked, name)) is not None
    }
    if asked.repetition_penalty is not None:
        given.setdefault("repeat_penalty", asked.repetition_penalty)
    if asked.seed is not None and asked.seed != -1:  # llama-server's word for: draw one
        given["seed"] = asked.seed
    if asked.logit_bias:
        given["logit_bias"] = _biases(asked.logit_bias)
    if asked.grammar:
        given["grammar"] = _grammar(asked.grammar)
    if logprobs is not None:
        given["logprobs"] = logprobs
    if not given:
        return recommended
    # Samplers that are chosen one by one leave no place for what others recommend of theirs.
    base = (
        headrace.SamplingParams() if given.get("mirostat") or "samplers" in given else recommended
    )
    renamed = {"logprobs": logprobs_field}
    if asked.repetition_penalty is not None and asked.repeat_penalty is None:
        renamed["repeat_penalty"] = "repetition_penalty"
    try:
        return attrs.evolve(base, **given)
    except ParamsError as error:
        raise in_words_of_requests(error, renamed) from None


def of_answer(sampling: headrace.SamplingParams, number: int) -> headrace.SamplingParams:
    """Those of one of several answers: they differ, and the seed of each gives it again."""
    if sampling.seed is None:
        return sampling
    return attrs.evolve(sampling, seed=(sampling.seed + number) % (MAX_SEED + 1))


def _grammar(source: str) -> Gbnf:
    try:
        return Gbnf(source)
    except (GrammarError, ParamsError) as error:
        raise ApiError(400, "invalid_grammar", f"grammar: {error}", param="grammar") from None


def _biases(asked: dict[str, float | bool] | list[tuple[int, float | bool]]) -> dict[int, float]:
    pairs = asked.items() if isinstance(asked, dict) else asked
    found: dict[int, float] = {}
    for token, bias in pairs:
        if isinstance(token, str) and not re.fullmatch(r"[0-9]{1,9}", token):
            raise ApiError(
                400,
                "invalid_value",
                f'logit_bias: keys must be ids of tokens, such as "42", got {token!r:.60}; '
                "POST /tokenize says which ids a text has",
                param="logit_bias",
            )
        if bias is True:
            raise ApiError(
                400,
                "invalid_value",
                "logit_bias: a bias must be a number, or false to ban the token, got true",
                param="logit_bias",
            )
        found[int(token)] = _BAN if bias is False else bias
    return found
