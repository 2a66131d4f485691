"""What the options that commands share were given: one value for each call of the program.

An option keeps there what it was given, and whoever loads, samples or shows an error looks there: a
command takes no argument for it. What is a command's own is in a value of its own
(``headrace.cli.options.gathered``).
"""

from __future__ import annotations

from typing import Any

import attrs
import click


@attrs.define
class Settings:
    """What was asked for by the options that several commands share."""

    debug: bool = False
    timeout: float | None = None
    """Longest time for loading a model, and again for what follows; in seconds."""
    command: click.Command | None = None
    """The command that was asked for, in whose words errors are told."""
    backend: str | None = None
    """Name of the backend that loads the model, if one was named."""
    model: dict[str, Any] = attrs.field(factory=dict)
    """Fields of ``ModelParams`` that were given as options."""
    engine: dict[str, Any] = attrs.field(factory=dict)
    """Fields of ``EngineParams`` that were given as options."""
    sampling: dict[str, Any] = attrs.field(factory=dict)
    """Fields of ``SamplingParams`` that were given as options."""
    adapters: dict[str, tuple[tuple[str, float], ...]] = attrs.field(factory=dict)
    """LoRA adapters and control vectors that were given, with their scales."""
    speculation: dict[str, Any] = attrs.field(factory=dict)
    """What proposes tokens: ``auto``, ``prompt_lookup`` or ``draft_model``."""
    recommended_sampling: bool = False
    """Whether they change what the model file recommends, instead of the defaults."""


def settings() -> Settings:
    """Those of the command that is running."""
    return click.get_current_context().ensure_object(Settings)


def timeout() -> float | None:
    """What was given as ``--timeout``."""
    return settings().timeout
