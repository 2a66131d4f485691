"""How a session uses adapters and control vectors: which ones, and how strongly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import attrs

from headrace.adapters import Adapter, ControlVector, LoadedHandle
from headrace.errors import ParamsError
from headrace.params.fields import integer, number, refuse

_MOST = 1e4
_U = TypeVar("_U", bound="Use")


def _handle(kind: type[LoadedHandle]) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, kind):
            refuse(instance, field, value, f"what model.{_LOADERS[kind]} returns")

    return validate


_LOADERS: dict[type[LoadedHandle], str] = {
    Adapter: "load_adapter",
    ControlVector: "load_control_vector",
}


@attrs.frozen
class AdapterUse:
    """A LoRA adapter, and how strongly it acts.

    Raises:
        ParamsError: For a value outside its range.
    """

    adapter: Adapter = attrs.field(validator=_handle(Adapter))
    """What ``model.load_adapter`` returned."""

    scale: float = attrs.field(default=1.0, validator=number(-_MOST, _MOST))
    """Factor of what it adds, −10000 … 10000: 1 as it was trained, 0 not at all."""

    @property
    def handle(self) -> LoadedHandle:
        """The adapter."""
        return self.adapter


@attrs.frozen
class ControlVectorUse:
    """A control vector, how strongly it acts, and on which layers.

    Raises:
        ParamsError: For a value outside its range.
    """

    vector: ControlVector = attrs.field(validator=_handle(ControlVector))
    """What ``model.load_control_vector`` returned."""

    strength: float = attrs.field(default=1.0, validator=number(-_MOST, _MOST))
    """Factor of the directions, −10000 … 10000; below 0 the other way."""

    first_layer: int | None = attrs.field(default=None, validator=integer(1, optional=True))
    """First layer it is added to, from 1; None: the first it has a direction for."""

    last_layer: int | None = attrs.field(default=None, validator=integer(1, optional=True))
    """Last layer it is added to, that one included; None: the last it has a direction for."""

    def __attrs_post_init__(self) -> None:
        """Refuse a range that is none."""
        first, last = self.first_layer, self.last_layer
        if first is not None and last is not None and first > last:
            raise ParamsError(
                f"ControlVectorUse.last_layer must not be before first_layer={first}, got {last}"
            )

    @property
    def handle(self) -> LoadedHandle:
        """The control vector."""
        return self.vector

    @property
    def scale(self) -> float:
        """The strength, under the name that adapters have for it."""
        return self.strength


Use = AdapterUse | ControlVectorUse


def check_uses(uses: Iterable[Use], owner: object) -> None:
    """Raise unless they are all of one model, and open.

    Raises:
        ParamsError: For one that another model has loaded.
        ClosedError: For one that was closed.
    """
    for use in uses:
        handle = use.handle
        handle.check_open()
        if handle.owner is not owner:
            raise ParamsError(
                f"the {handle.kind} {handle.name!r} was loaded by another model",
                hint=f"Load {handle.path!r} with the model whose sessions use it.",
            )


def adapter_uses(value: Any) -> tuple[AdapterUse, ...]:
    """What ``SessionParams.adapters`` may be written as: handles, pairs, or ``AdapterUse``."""
    return _uses("adapters", value, AdapterUse, Adapter)


def control_vector_uses(value: Any) -> tuple[ControlVectorUse, ...]:
    """The same for ``SessionParams.control_vectors``."""
    return _uses("control_vectors", value, ControlVectorUse, ControlVector)


def _uses(field: str, value: Any, use: type[_U], handle: type[LoadedHandle]) -> tuple[_U, ...]:
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise ParamsError(
            f"SessionParams.{field} must be a list of what model.{_LOADERS[handle]} returns, "
            f"got {value!r}",
            hint=f"One alone is a list too: {field}=[…].",
        )
    found = tuple(_use(field, each, use, handle) for each in value)
    handles = [each.handle for each in found]
    for each in handles:
        if handles.count(each) > 1:
            raise ParamsError(
                f"SessionParams.{field} names {each.name!r} more than once",
                hint="Give it one scale, the sum.",
            )
    return found


def _use(field: str, value: Any, use: Callable[..., _U], handle: type[LoadedHandle]) -> _U:
    if isinstance(value, (AdapterUse, ControlVectorUse)) and isinstance(value.handle, handle):
        return cast("_U", value)
    if isinstance(value, handle):
        return use(value)
    if isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], handle):
        return use(*value)
    raise ParamsError(
        f"SessionParams.{field} must hold what model.{_LOADERS[handle]} returns, alone or in a "
        f"pair with its scale, got {value!r}",
        hint=f"Write {field}=[first, (second, 0.5)].",
    )
