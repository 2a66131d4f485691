"""Options for LoRA adapters and control vectors, shared by the commands that open a session.

Like ``headrace.cli.settings``: what is given is kept in the program's settings, and
``session_params`` loads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import click

import headrace
from headrace.cli.options import FILE, expanded
from headrace.cli.settings import Settings, settings

_F = TypeVar("_F", bound=Callable[..., Any])


def _keep(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> None:
    kept = context.ensure_object(Settings).adapters
    kept[str(parameter.name)] = tuple(map(scaled, texts))


def scaled(text: str) -> tuple[str, float]:
    """A file and a scale; a colon that no number follows belongs to the file's name."""
    name, colon, scale = text.rpartition(":")
    try:
        return (expanded(name), float(scale)) if colon else (expanded(text), 1.0)
    except ValueError:
        return expanded(text), 1.0


def adapter_options(command: _F) -> _F:
    """``--lora`` and ``--control-vector``."""
    for name, metavar, text in (
        ("--control-vector", "FILE[:STRENGTH]", "Steer with a control vector; repeatable."),
        ("--lora", "FILE[:SCALE]", "Compute with a LoRA adapter; repeatable."),
    ):
        command = click.option(
            name,
            multiple=True,
            type=FILE,
            metavar=metavar,
            help=text,
            callback=_keep,
            expose_value=False,
        )(command)
    return command


def session_params(
    model: headrace.Model, params: headrace.SessionParams | None = None
) -> headrace.SessionParams:
    """Params with the adapters and control vectors that were given, loaded by the model.

    Raises:
        ModelError, UnsupportedError: If one of them cannot be loaded.
        ParamsError: For a scale that is outside its range.
    """
    given = settings().adapters
    return attrs.evolve(
        params or headrace.SessionParams(),
        adapters=[(model.load_adapter(path), scale) for path, scale in given.get("lora", ())],
        control_vectors=[
            (model.load_control_vector(path), strength)
            for path, strength in given.get("control_vector", ())
        ],
    )
