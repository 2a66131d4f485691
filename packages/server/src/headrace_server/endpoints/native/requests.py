"""What llama-server's clients send to be completed, and what headrace makes of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

import headrace
from headrace.errors import GrammarError
from headrace.grammar import Gbnf, JsonSchema
from headrace.params.samplers import READS, readable
from headrace.params.sampling import FIELDS
from headrace_server.errors import ApiError

if TYPE_CHECKING:
    from headrace.grammar import Grammar

_LETTERS = {
    "k": "top_k",
    "y": "typ_p",
    "p": "top_p",
    "s": "top_n_sigma",
    "m": "min_p",
    "t": "temperature",
    "x": "xtc",
    "i": "infill",
    "e": "penalties",
    "d": "dry",
    "a": "adaptive_p",
}
"""llama-server's letters for samplers."""

SAME = tuple(
    each.name
    for each in FIELDS
    if each.name not in ("seed", "logprobs", "logit_bias", "samplers", "grammar")
)
"""Fields that mean the same on both sides."""


NAMES = {"logprobs": "n_probs"}
"""What these requests call otherwise than headrace does."""


class LoraScale(msgspec.Struct, kw_only=True):
    """An adapter of the server, and how strongly it acts on this request."""

    id: int
    scale: float


class Generating(msgspec.Struct, kw_only=True):
    """What all requests for text have. Null is as good as absent."""

    model: str | None = None
    stream: bool | None = None
    n_predict: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n_cmpl: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    ignore_eos: bool | None = None
    cache_prompt: bool | None = None
    return_tokens: bool | None = None
    timings_per_token: bool | None = None
    t_max_predict_ms: float | None = None
    response_fields: list[str] | None = None
    id_slot: int | None = None
    lora: list[LoraScale] | None = None
    temperature: float | None = None
    dynatemp_range: float | None = None
    dynatemp_exponent: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    top_n_sigma: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    typical_p: float | None = None
    repeat_last_n: int | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: list[str] | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    adaptive_target: float | None = None
    adaptive_decay: float | None = None
    min_keep: int | None = None
    seed: int | None = None
    n_probs: int | None = None
    logprobs: int | None = None
    post_sampling_probs: bool | None = None
    logit_bias: Any = None
    samplers: str | list[str] | None = None
    grammar: str | None = None
    json_schema: Any = None
    grammar_lazy: bool | None = None
    n_indent: int | None = None

    def check(self) -> None:
        """Refuse what would be answered otherwise than it was asked.

        Raises:
            ApiError: 400 that names the field.
        """
        for field, wanted in (
            ("post_sampling_probs", self.post_sampling_probs),
            ("grammar_lazy", self.grammar_lazy),
            ("n_indent", self.n_indent),
        ):
            if wanted:
                raise ApiError(
                    400,
                    "unsupported",
                    f"{field} is not supported, got {wanted!r}: leave it out",
                    param=field,
                )

    @property
    def most(self) -> int | None:
        """Most new tokens; None: as many as come.

        Raises:
            ApiError: 400 for a number below −1.
        """
        for field in ("n_predict", "max_completion_tokens", "max_tokens"):
            number = getattr(self, field)
            if number is None:
                continue
            if number < -1:
                raise ApiError(
                    400,
                    "invalid_value",
                    f"{field} must be a whole number ≥ 0, or -1 for no limit, got {number}",
                    param=field,
                )
            return None if number == -1 else int(number)
        return None

    @property
    def answers(self) -> int:
        """How many answers to each prompt.

        Raises:
            ApiError: 400 for none.
        """
        number = next((each for each in (self.n_cmpl, self.n) if each is not None), 1)
        if number < 1:
            field = "n_cmpl" if self.n_cmpl is not None else "n"
            raise ApiError(400, "invalid_value", f"{field} must be ≥ 1, got {number}", param=field)
        return number

    @property
    def stops(self) -> tuple[str, ...]:
        """The strings that end an answer; empty ones are passed over, as llama-server does."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(each for each in given if each)


class CompletionRequest(Generating, kw_only=True):
    """``POST /completion``."""

    prompt: Any = msgspec.UNSET


async def sampling_of(
    request: Generating, model: headrace.Model, base: headrace.SamplingParams
) -> headrace.SamplingParams:
    """How tokens are to be chosen.

    What no sampler would read is left out: clients of llama-server send all they know.

    Args:
        request: What was asked for.
        model: Whose tokens ``logit_bias`` may name by their text.
        base: What holds for all that the request leaves out.

    Raises:
        ApiError: 400 that names the field.
    """
    given: dict[str, Any] = {
        name: value for name in SAME if (value := getattr(request, name)) is not None
    }
    if request.seed is not None and request.seed not in (-1, 2**32 - 1):
        given["seed"] = request.seed
    n_probs = request.n_probs if request.n_probs is not None else request.logprobs
    if n_probs:
        given["logprobs"] = n_probs
    if request.samplers is not None:
        given["samplers"] = _samplers(request.samplers)
    if request.logit_bias:
        given["logit_bias"] = await _biases(request.logit_bias, model)
    _drop_unread(given, base)
    given["grammar"] = _grammar(request)
    return attrs.evolve(base, **given)


def _drop_unread(given: dict[str, Any], base: headrace.SamplingParams) -> None:
    samplers = given.get("samplers", base.samplers)
    if not set(samplers) <= set(READS):
        return  # an unknown name, which is refused
    read = readable(given.get("mirostat", base.mirostat), samplers)
    always = {"seed", "logprobs", "logit_bias", "mirostat"}
    for name in [each for each in given if each not in read and each not in always]:
        del given[name]


def _samplers(value: str | list[str]) -> tuple[str, ...]:
    if not isinstance(value, str):
        return tuple(value)
    unknown = sorted(set(value) - set(_LETTERS))
    if unknown:
        raise ApiError(
            400,
            "invalid_value",
            f"samplers has a letter that stands for none, {unknown[0]!r}; "
            f"the letters are {''.join(_LETTERS)}",
            param="samplers",
        )
    return tuple(_LETTERS[each] for each in value)


async def _biases(value: Any, model: headrace.Model) -> dict[int, float]:
    """Pairs, or a mapping, of a token or its text and a number or false."""
    if isinstance(value, Mapping):
        pairs = [
            (int(key) if key.lstrip("-").isdecimal() else key, bias) for key, bias in value.items()
        ]
    elif isinstance(value, list) and all(
        isinstance(each, list) and len(each) == 2 for each in value
    ):
        pairs = [(key, bias) for key, bias in value]
    else:
        raise _bad_bias(value)
    found: dict[int, float] = {}
    for key, bias in pairs:
        number = -math.inf if bias is False else bias
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise _bad_bias([key, bias])
        if isinstance(key, str):
            tokens = await model.atokenize(key, add_special=False) if key else []
        elif isinstance(key, int) and not isinstance(key, bool) and 0 <= key < model.info.n_vocab:
            tokens = [key]
        else:
            raise _bad_bias([key, bias])
        found.update(dict.fromkeys(tokens, number))
    return found


def _bad_bias(value: Any) -> ApiError:
    return ApiError(
        400,
        "invalid_value",
        "logit_bias must have token ids of this model, or texts, each with a number or false, "
        f"got {value!r:.80}",
        param="logit_bias",
    )


def _grammar(request: Generating) -> Grammar | None:
    field = "grammar" if request.grammar else "json_schema"
    try:
        if request.grammar:
            return Gbnf(request.grammar)
        if request.json_schema is None:
            return None
        if not isinstance(request.json_schema, Mapping):
            raise GrammarError(f"it must be an object, got {request.json_schema!r:.60}")
        return JsonSchema(json.dumps(request.json_schema or {"type": "object"}))
    except GrammarError as error:
        raise ApiError(400, "invalid_grammar", f"{field}: {error}", param=field) from None
