"""What a model is loaded from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import attrs

from headrace import EngineParams, ModelParams, SamplingParams
from headrace.errors import ParamsError
from headrace.params.fields import strict_names


def _name(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ParamsError(f"ModelSpec.{field.name} must be printable text, got {value!r:.60}")


def _are_adapters(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    for each in value:
        if not (isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str)):
            raise ParamsError(
                f"ModelSpec.adapters must have pairs of a path and a scale, got {each!r:.60}"
            )
        if isinstance(each[1], bool) or not isinstance(each[1], (int, float)):
            raise ParamsError(
                f"ModelSpec.adapters must have a number for {each[0]!r:.60}, got {each[1]!r:.60}"
            )


@strict_names
@attrs.frozen(kw_only=True)
class ModelSpec:
    """A model that requests can name.

    Raises:
        ParamsError: For an unknown name or a wrong value.
    """

    name: str = attrs.field(validator=_name)
    """What requests call it."""
    reference: str = attrs.field(validator=_name)
    """A path, ``hf:org/repo/model.gguf``, or what else ``headrace.load_model`` takes."""
    backend: str | None = None
    """Name of the backend; None: the one that can load it."""
    params: ModelParams = attrs.field(factory=ModelParams)
    engine: EngineParams = attrs.field(factory=EngineParams)
    adapters: tuple[tuple[str, float], ...] = attrs.field(
        default=(), converter=tuple, validator=_are_adapters
    )
    """LoRA adapters to load with it: paths, and how strongly each acts where a request names
    none."""
    sampling: SamplingParams | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(attrs.validators.instance_of(SamplingParams)),
    )
    """How tokens are chosen where a request leaves it out; None: as the model's makers say."""
    template: str | None = attrs.field(
        default=None,
        repr=False,
        validator=attrs.validators.optional(attrs.validators.instance_of(str)),
    )
    """Source of a Jinja chat template to use instead of the model's own; None: the model's."""
    options: Mapping[str, object] | None = attrs.field(default=None, repr=False)
    """What the backend alone understands."""


def default_name(reference: str) -> str:
    """What a model is called where nobody says: the file's name without its ending."""
    tail = PurePath(reference.rstrip("/")).name or reference
    return tail.removesuffix(".gguf") or reference
