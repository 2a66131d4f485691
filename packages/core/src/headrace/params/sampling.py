"""``SamplingParams``: what turns logits into a token, for one generation."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import attrs

from headrace.errors import ParamsError
from headrace.params.fields import integer, is_whole, number, refuse, strict_names
from headrace.params.samplers import DEFAULT_SAMPLERS, check_effects, validate_order

if TYPE_CHECKING:
    from headrace.grammar import Grammar

MAX_SEED = 2**32 - 2
"""Largest seed. 2³²−1 means "draw one at random" to llama.cpp."""

MAX_LOGPROBS = 100
"""Most alternatives to each token that can be asked for."""

_MAX_WINDOW = 2**20
_LARGEST = 1e6
_MAX_BREAKERS = 64
_LONGEST_BREAKER = 40
_T = TypeVar("_T")


def _as_tuple(value: Any) -> Any:
    """A list as a tuple; what is no list is left to the validator."""
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _as_biases(value: Any) -> Any:
    """A mapping as pairs, in order of token."""
    if isinstance(value, Mapping):
        value = value.items()
    try:
        return tuple(sorted((token, bias) for token, bias in value))
    except (TypeError, ValueError):
        return value


def _validate_biases(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    allowed = f"a mapping from token ids to numbers in -{_LARGEST:g} … {_LARGEST:g}, or -inf"
    if not isinstance(value, tuple):
        refuse(instance, field, value, allowed)
    for pair in value:
        if not (isinstance(pair, tuple) and _is_bias(*pair)):
            refuse(instance, field, dict(value), allowed)
    tokens = [token for token, _ in value]
    if len(set(tokens)) < len(tokens):
        refuse(instance, field, value, "without repetitions")


def _is_bias(token: Any, bias: Any) -> bool:
    real = isinstance(bias, numbers.Real) and not isinstance(bias, bool)
    return is_whole(token) and token >= 0 and real and (abs(bias) <= _LARGEST or bias == -math.inf)


def _validate_breakers(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    allowed = f"at most {_MAX_BREAKERS} strings of 1 to {_LONGEST_BREAKER} bytes without NUL"
    if not isinstance(value, tuple) or len(value) > _MAX_BREAKERS:
        refuse(instance, field, value, allowed)
    for each in value:
        if not isinstance(each, str) or "\0" in each:
            refuse(instance, field, value, allowed)
        size = len(each.encode(errors="surrogatepass"))
        surrogates = any("\ud800" <= character <= "\udfff" for character in each)
        if surrogates or not 1 <= size <= _LONGEST_BREAKER:
            refuse(instance, field, value, allowed)


def _validate_grammar(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    from headrace.grammar import Grammar  # half of what a program without one would import

    if not isinstance(value, Grammar):
        kinds = ", ".join(kind.__name__ for kind in get_args(Grammar))
        refuse(instance, field, value, f"None or a {kinds}")


def _notes_given(cls: type[_T]) -> type[_T]:
    """Have the constructor note the names that it is called with, in the field ``given``.

    ``attrs.evolve`` passes what is to change first and then every field in its order. ``given``
    is the first of them: what comes before it is new, what comes after it is as it was.
    """
    generated = cls.__init__

    def __init__(self: _T, **values: Any) -> None:
        names = list(values)
        before = values.get("given")
        if before is not None:
            if not isinstance(before, frozenset):
                raise ParamsError(f"SamplingParams.given must be a frozenset, got {before!r:.60}")
            names = [*names[: names.index("given")], *before]
        generated(self, **{**values, "given": frozenset(names)})

    __init__.__wrapped__ = generated  # type: ignore[attr-defined]  # keeps the signature in help()
    cls.__init__ = __init__  # type: ignore[assignment]
    return cls


@_notes_given
@strict_names
@attrs.frozen(kw_only=True)
class SamplingParams:
    """What turns logits into a token, for one generation.

    Names and defaults are those of llama.cpp's server, its order of samplers too. A value that no
    sampler would read is refused: one whose sampler is not in ``samplers``, or that mirostat does
    without.

    Raises:
        ParamsError: For an unknown name, a value outside its range or one without effect.
    """

    given: frozenset[str] = attrs.field(default=frozenset(), eq=False, repr=False)
    """Names of what was given; all else has its default, in whose place a service has its own.
    Noted by the constructor, and kept by ``attrs.evolve``; equality does not look at it."""

    temperature: float = attrs.field(
        default=0.8, validator=number(0, note=" (0 takes the most likely token)")
    )
    """Divides the logits: below 1 bolder, above 1 more even; 0 is greedy."""

    top_k: int = attrs.field(default=40, validator=integer(0, 2**31 - 1))
    """Keep the k most likely tokens; 0: all (Holtzman et al., arXiv:1904.09751)."""

    top_p: float = attrs.field(default=0.95, validator=number(0, 1, above=True))
    """Keep the smallest set whose probabilities add up to p; 1: all (arXiv:1904.09751)."""

    min_p: float = attrs.field(default=0.05, validator=number(0, 1))
    """Drop tokens less likely than this share of the most likely one; 0: none
    (arXiv:2407.01082)."""

    repeat_penalty: float = attrs.field(default=1.0, validator=number(1 / _LARGEST, _LARGEST))
    """Divides the logits of recent tokens (Keskar et al., arXiv:1909.05858); 1: off."""

    repeat_last_n: int = attrs.field(default=64, validator=integer(-1, _MAX_WINDOW))
    """How many recent tokens the three penalties look at, those of the prompt included; 0: off,
    −1: the whole context."""

    seed: int | None = attrs.field(default=None, validator=integer(0, MAX_SEED, optional=True))
    """Seed of the draw, 0 … 2³²−2; None: drawn, and reported in the receipt."""

    logprobs: int | None = attrs.field(
        default=None, validator=integer(0, MAX_LOGPROBS, optional=True)
    )
    """None: off; 0: the log-probability of each token; n: also those of the n most likely tokens,
    at most 100. Of the model's own distribution, before any sampler (llama-server: ``n_probs``)."""

    frequency_penalty: float = attrs.field(default=0.0, validator=number(-_LARGEST, _LARGEST))
    """Taken off a recent token's logit as often as it came up; 0: off."""

    presence_penalty: float = attrs.field(default=0.0, validator=number(-_LARGEST, _LARGEST))
    """Taken off a recent token's logit once; 0: off."""

    typical_p: float = attrs.field(default=1.0, validator=number(0, 1, above=True))
    """Keep tokens about as surprising as the distribution is on average, up to this probability;
    1: all (Meister et al., arXiv:2202.00666)."""

    top_n_sigma: float = attrs.field(default=-1.0, validator=number(-1))
    """Keep tokens whose logit is within n standard deviations of the largest; ≤ 0: all
    (arXiv:2411.07641)."""

    xtc_probability: float = attrs.field(default=0.0, validator=number(0, 1))
    """How often XTC ("exclude top choices") drops the most likely tokens; 0: never."""

    xtc_threshold: float = attrs.field(default=0.1, validator=number(0, 1))
    """XTC drops all tokens at least this likely but the least likely of them; above 0.5: off."""

    dynatemp_range: float = attrs.field(default=0.0, validator=number(0))
    """Dynamic temperature: from ``temperature`` minus to plus this, by the distribution's entropy;
    0: off (arXiv:2309.02772)."""

    dynatemp_exponent: float = attrs.field(default=1.0, validator=number(0))
    """How entropy maps to dynamic temperature; 1: in proportion."""

    dry_multiplier: float = attrs.field(default=0.0, validator=number(0, _LARGEST))
    """DRY ("don't repeat yourself") takes ``multiplier · base ** (length − allowed length)`` off
    the logit of a token that would lengthen a repetition; 0: off."""

    dry_base: float = attrs.field(default=1.75, validator=number(1, _LARGEST))
    """See ``dry_multiplier``."""

    dry_allowed_length: int = attrs.field(default=2, validator=integer(0, _MAX_WINDOW))
    """Repetitions up to this many tokens cost nothing."""

    dry_penalty_last_n: int = attrs.field(default=64, validator=integer(-1, _MAX_WINDOW))
    """How many recent tokens DRY looks through for repetitions; 0: off, −1: the whole context."""

    dry_sequence_breakers: tuple[str, ...] = attrs.field(
        default=("\n", ":", '"', "*"), converter=_as_tuple, validator=_validate_breakers
    )
    """Texts across which DRY sees no repetition."""

    adaptive_target: float = attrs.field(default=-1.0, validator=number(-1, 1))
    """Adaptive-p prefers tokens near this probability, over time; below 0: as likely as they are.
    Needs ``"adaptive_p"`` in ``samplers``."""

    adaptive_decay: float = attrs.field(default=0.9, validator=number(0, 0.99))
    """How long adaptive-p remembers: about ``1 / (1 − decay)`` tokens."""

    mirostat: int = attrs.field(default=0, validator=integer(0, 2))
    """1, 2: Mirostat of that version keeps the surprise of the text at ``mirostat_tau``, in place
    of all samplers but ``temperature``; 0: off (Basu et al., arXiv:2007.14966)."""

    mirostat_tau: float = attrs.field(default=5.0, validator=number(0))
    """Mirostat's target surprise, in bits."""

    mirostat_eta: float = attrs.field(default=0.1, validator=number(0))
    """Mirostat's learning rate."""

    min_keep: int = attrs.field(default=0, validator=integer(0, 2**31 - 1))
    """Fewest tokens that top-p, min-p, typical and XTC leave; 0: no such limit."""

    logit_bias: tuple[tuple[int, float], ...] = attrs.field(
        default=(), converter=_as_biases, validator=_validate_biases
    )
    """What is added to the logits of single tokens before everything else: a mapping from token ids
    to numbers, kept as pairs. −inf bans a token."""

    samplers: tuple[str, ...] = attrs.field(
        default=DEFAULT_SAMPLERS, converter=_as_tuple, validator=validate_order
    )
    """The samplers in their order: ``penalties``, ``dry``, ``top_n_sigma``, ``top_k``, ``typ_p``,
    ``top_p``, ``min_p``, ``xtc``, ``temperature``, ``infill``, ``adaptive_p``. What is left is
    drawn from; ``adaptive_p`` draws itself, wherever it stands."""

    grammar: Grammar | None = attrs.field(default=None, validator=_validate_grammar)
    """What the output must match: a ``Gbnf``, ``Regex``, ``Choice``, or one of them
    that is ``Lazy``. Each generation begins it anew."""

    def __attrs_post_init__(self) -> None:
        values = ((each, getattr(self, each.name)) for each in attrs.fields(type(self)))
        changed = {each.name: value for each, value in values if value != each.default}
        check_effects(self.mirostat, self.samplers, changed)

    def window(self, last_n: int, n_ctx: int) -> int:
        """What a number of recent tokens means in a context of ``n_ctx`` tokens."""
        return n_ctx if last_n < 0 else last_n

    @property
    def looks_back(self) -> bool:
        """Whether a sampler weighs a token by those before it."""
        return (
            self.repeat_penalty != 1.0
            or self.frequency_penalty != 0.0
            or self.presence_penalty != 0.0
            or self.dry_multiplier != 0.0
            or self.adaptive_target >= 0.0
        )

    def lookback(self, n_ctx: int) -> int:
        """How many recent tokens the samplers look at, in a context of ``n_ctx`` tokens."""
        return max(
            self.window(self.repeat_last_n, n_ctx), self.window(self.dry_penalty_last_n, n_ctx)
        )


FIELDS = tuple(each for each in attrs.fields(SamplingParams) if each.eq)
"""What can be set: all but ``given``."""
