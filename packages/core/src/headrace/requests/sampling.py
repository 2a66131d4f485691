"""What a generation asks of the sampler, against what the model can do."""

from __future__ import annotations

from headrace.errors import ParamsError, UnsupportedError
from headrace.params import SamplingParams
from headrace.params.sampling import FIELDS
from headrace.results import Capability, ModelInfo

_EVERYWHERE = frozenset(
    {
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "repeat_penalty",
        "repeat_last_n",
        "seed",
        "logprobs",
        "grammar",
    }
)
"""Fields that every backend honours; ``logprobs`` and ``grammar`` have their own capabilities."""


def check_sampling(
    params: SamplingParams, info: ModelInfo, capabilities: frozenset[Capability]
) -> None:
    """Refuse what the model or its backend cannot do.

    Raises:
        UnsupportedError: For log-probabilities, samplers or grammars that the backend lacks.
        ParamsError: For a bias on a token that is not in the vocabulary.
    """
    if params.logprobs is not None and Capability.LOGPROBS not in capabilities:
        raise UnsupportedError(
            f"the backend {info.backend!r} gives no log-probabilities",
            hint="Leave SamplingParams.logprobs at None.",
            backend=info.backend,
        )
    if params.grammar is not None and Capability.GRAMMAR not in capabilities:
        raise UnsupportedError(
            f"the backend {info.backend!r} cannot keep its output to a grammar",
            hint="Leave SamplingParams.grammar at None.",
            backend=info.backend,
        )
    if Capability.SAMPLERS not in capabilities:
        _refuse_rare_fields(params, info)
    for token, _ in params.logit_bias:
        if token >= info.n_vocab:
            raise ParamsError(
                f"SamplingParams.logit_bias names token {token}, which is not in the vocabulary",
                hint=f"Token ids are 0 … {info.n_vocab - 1}.",
            )


def _refuse_rare_fields(params: SamplingParams, info: ModelInfo) -> None:
    for field in FIELDS:
        if field.name not in _EVERYWHERE and getattr(params, field.name) != field.default:
            raise UnsupportedError(
                f"the backend {info.backend!r} does not know SamplingParams.{field.name}",
                hint=f"It knows {', '.join(sorted(_EVERYWHERE))}.",
                backend=info.backend,
            )
