"""What a model is loaded from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import attrs

from headrace import EngineParams, ModelParams
from headrace.errors import ParamsError
from headrace.params.fields import strict_names


def _name(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ParamsError(f"ModelSpec.{field.name} must be printable text, got {value!r:.60}")


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
    options: Mapping[str, object] | None = attrs.field(default=None, repr=False)
    """What the backend alone understands."""


def default_name(reference: str) -> str:
    """What a model is called where nobody says: the file's name without its ending."""
    tail = PurePath(reference.rstrip("/")).name or reference
    return tail.removesuffix(".gguf") or reference
