"""Options for proposing tokens, shared by the commands that generate text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

import headrace
from headrace.cli.load import load
from headrace.cli.options import FILE, kept
from headrace.cli.settings import settings
from headrace.params.speculation import AUTO

_F = TypeVar("_F", bound=Callable[..., Any])
_OPTIONS = (
    kept(
        "speculation", "auto", "--speculate", names=("speculate",), type=click.Choice([AUTO]),
        help="Propose tokens from where the last ones came up before, as far as it pays.",
    ),
    kept(
        "speculation", "prompt_lookup", "--prompt-lookup", names=("max_draft",), type=int,
        metavar="N", help="Propose up to N tokens from where the last ones came up before.",
    ),
    kept(
        "speculation", "draft_model", "--draft-model", names=("speculate",), type=FILE,
        metavar="FILE", help="Propose tokens with a smaller model of the same vocabulary.",
    ),
)  # fmt: skip


def speculation_options(command: _F) -> _F:
    """``--speculate``, ``--prompt-lookup`` and ``--draft-model``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextlib.contextmanager
def speculating() -> Iterator[headrace.SessionParams]:
    """Params of a session that proposes as the options say; holds the draft model open."""
    given = settings().speculation
    if len(given) > 1:
        raise click.UsageError("--speculate, --prompt-lookup and --draft-model exclude each other")
    if "auto" in given:
        yield headrace.SessionParams(speculate=given["auto"])
        return
    if "draft_model" in given:
        with load(given["draft_model"]) as small:
            yield headrace.SessionParams(speculate=headrace.DraftModel(model=small))
        return
    lookup = None
    if "prompt_lookup" in given:
        lookup = headrace.PromptLookup(max_draft=given["prompt_lookup"])
    yield headrace.SessionParams(speculate=lookup)
