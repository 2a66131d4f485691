"""Options for how tokens are chosen, shared by the commands that generate.

Like ``headrace.cli.settings``: what is given is kept in the program's settings,
and ``sampling_of`` makes ``SamplingParams`` of it, which check it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import click

import headrace
from headrace.cli.options import kept
from headrace.cli.settings import Settings, settings
from headrace.errors import ParamsError
from headrace.params import SamplingParams, check_names
from headrace.params.sampling import FIELDS

_F = TypeVar("_F", bound=Callable[..., Any])
_NOT_HERE = ("grammar", "logprobs")
_NAMES = tuple(field.name for field in FIELDS if field.name not in _NOT_HERE)


def _keep_settings(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> None:
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ParamsError(
                f"--sampling must be NAME=VALUE, got {text!r}",
                hint="Such as --sampling typical_p=0.5 or --sampling 'samplers=top_k;temperature'.",
            )
        check_names("SamplingParams", [name], _NAMES)
        context.ensure_object(Settings).sampling[name] = _parsed(name, value)


def _parsed(name: str, text: str) -> Any:
    """A value as JSON; the samplers as names separated by semicolons or commas."""
    if name == "samplers":
        return tuple(filter(None, (each.strip() for each in re.split("[;,]", text))))
    try:
        value = json.loads(text)
        if name == "logit_bias":
            return {int(token): bias for token, bias in value.items()}
    except (ValueError, AttributeError, RecursionError):
        return text  # which the params refuse, naming the field
    return value


def _keep_recommended(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.ensure_object(Settings).recommended_sampling = value


_OPTIONS = (
    kept(
        "sampling", "temperature", "--temperature", type=float, metavar="T",
        help="0 takes the most likely token.",
    ),
    kept(
        "sampling", "top_k", "--top-k", type=int, metavar="K",
        help="Keep the K most likely tokens; 0: all.",
    ),
    kept(
        "sampling", "top_p", "--top-p", type=float, metavar="P",
        help="Keep the smallest set of probability P.",
    ),
    kept(
        "sampling", "min_p", "--min-p", type=float, metavar="P",
        help="Drop tokens below this share of the likeliest.",
    ),
    kept(
        "sampling", "repeat_penalty", "--repeat-penalty", type=float, metavar="R",
        help="Make recent tokens less likely; 1: off.",
    ),
    kept(
        "sampling", "seed", "--seed", type=int, metavar="N",
        help="Seed of the draw  [default: drawn].",
    ),
    kept(
        "sampling", "logprobs", "--logprobs", type=int, metavar="N",
        help="Show each token's log-probability, and those of the N likeliest.",
    ),
    click.option(
        "--sampling", multiple=True, metavar="NAME=VALUE", callback=_keep_settings,
        expose_value=False,
        help="Any field of SamplingParams, such as typical_p=0.5; repeatable.",
    ),
    click.option(
        "--recommended-sampling", is_flag=True, callback=_keep_recommended, expose_value=False,
        help="Begin with what the model file recommends.",
    ),
)  # fmt: skip


def sampling_options(command: _F) -> _F:
    """All of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_sampling_options() -> None:
    """Have the options checked before a model is loaded.

    Raises:
        ParamsError: For the first value that is outside its range.
    """
    given = settings()
    if not given.recommended_sampling:
        SamplingParams(**given.sampling)


def sampling_of(model: headrace.Model) -> SamplingParams:
    """The params that the options ask for with this model.

    Raises:
        ParamsError: For a value outside its range or without effect.
        ModelFormatError: If the file recommends what makes no sense.
    """
    given = settings()
    base = model.recommended_sampling() if given.recommended_sampling else SamplingParams()
    return attrs.evolve(base, **given.sampling)


def show_logprobs(done: headrace.Completion, model: headrace.Model) -> None:
    """A line for each token on stderr: how likely it was, and what else might have come."""

    def piece(token: int) -> str:
        return repr(model.detokenize([token], special=True).decode(errors="replace"))

    for each in done.logprobs:
        line = f"{piece(each.token)} {each.logprob:.3f}"
        if each.top:
            line += "  | " + "  ".join(f"{piece(token)} {value:.3f}" for token, value in each.top)
        click.echo(line, err=True)
