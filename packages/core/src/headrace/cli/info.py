"""``headrace info``: what a model file says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import click

from headrace.cli.estimate import show_estimate
from headrace.cli.load import load, with_options
from headrace.cli.model_options import model_options
from headrace.cli.options import FILE, debug_option, json_option
from headrace.cli.report import shortened, size
from headrace.cli.settings import settings
from headrace.cli.texts import write_json
from headrace.errors import ModelFormatError, UnsupportedError
from headrace.inspection.devices import estimate_memory
from headrace.model import Model
from headrace.params import ModelParams
from headrace.params.sampling import FIELDS
from headrace.results import ModelInfo


@click.command()
@click.argument("model", type=FILE)
@click.option("--estimate", is_flag=True, help="Show what memory it needs, and if it fits.")
@model_options
@json_option
@debug_option
def info(
    model: str,
    estimate: bool,
    as_json: bool,
) -> None:
    """Show what MODEL says of itself, or with --estimate what memory it will need.

    Its weights are not loaded, where the backend can do without.
    """
    if estimate:
        params, engine = with_options()
        needed = estimate_memory(model, backend=settings().backend, params=params, engine=engine)
        show_estimate(needed, as_json=as_json)
        return
    found, sampling = _look(model)
    if as_json:
        write_json({**attrs.asdict(found), "recommended_sampling": sampling})
        return
    for label, value in filter(lambda line: line[1], _lines(found)):
        click.echo(f"{label + ':':<16} {value}")
    if sampling:
        click.echo(f"{'sampling:':<16} " + ", ".join(f"{k} {v}" for k, v in sampling.items()))
    if found.metadata:
        click.echo("metadata:")
        for key in sorted(found.metadata):
            click.echo(f"    {key}: {shortened(found.metadata[key])}")


def _look(model: str) -> tuple[ModelInfo, dict[str, Any]]:
    try:
        with load(model, params=ModelParams(vocab_only=True)) as loaded:
            return loaded.info, _recommended(loaded)
    except UnsupportedError:
        with load(model) as loaded:
            return loaded.info, _recommended(loaded)


def _recommended(model: Model) -> dict[str, Any]:
    """What its file says about sampling, where that differs from the defaults."""
    try:
        params = model.recommended_sampling()
    except ModelFormatError as error:
        return {"error": str(error)}
    return {
        field.name: getattr(params, field.name)
        for field in FIELDS
        if getattr(params, field.name) != field.default
    }


def _lines(found: ModelInfo) -> Iterator[tuple[str, str]]:
    yield "name", found.name
    yield "description", found.description
    yield "architecture", found.architecture
    yield "backend", f"{found.backend} ({found.build})"
    yield "vocabulary", f"{found.n_vocab:,} tokens"
    if found.n_ctx_train:
        yield "context", f"{found.n_ctx_train:,} tokens"
    if found.n_params is not None:
        yield "parameters", f"{found.n_params:,}"
    if found.size_bytes is not None:
        yield "size", size(found.size_bytes)
    special = ", ".join(f"{name} {token}" for name, token in found.special_tokens.items())
    yield "special tokens", special or "none"
