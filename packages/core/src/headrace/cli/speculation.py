"""Options for proposing tokens, shared by the commands that generate text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

import headrace
from headrace.cli.common import FILE, Option, load

_F = TypeVar("_F", bound=Callable[..., Any])


def speculation_options(command: _F) -> _F:
    """``--prompt-lookup`` and ``--draft-model``."""
    for option in (
        click.option(
            "--draft-model",
            cls=Option,
            names=("speculate",),
            type=FILE,
            metavar="FILE",
            help="Propose tokens with a smaller model of the same vocabulary.",
        ),
        click.option(
            "--prompt-lookup",
            cls=Option,
            names=("max_draft",),
            type=int,
            metavar="N",
            help="Propose up to N tokens from where the last ones came up before.",
        ),
    ):
        command = option(command)
    return command


@contextlib.contextmanager
def speculating(
    prompt_lookup: int | None,
    draft_model: str | None,
    *,
    backend: str | None,
    engine: headrace.EngineParams,
) -> Iterator[headrace.SessionParams]:
    """Params of a session that proposes as the options say; holds the draft model open."""
    if prompt_lookup is not None and draft_model is not None:
        raise click.UsageError("--prompt-lookup and --draft-model exclude each other")
    if draft_model is not None:
        with load(draft_model, backend=backend, engine=engine) as small:
            yield headrace.SessionParams(speculate=headrace.DraftModel(model=small))
        return
    lookup = None if prompt_lookup is None else headrace.PromptLookup(max_draft=prompt_lookup)
    yield headrace.SessionParams(speculate=lookup)
