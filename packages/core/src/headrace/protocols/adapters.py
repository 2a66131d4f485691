"""What a library implements to have adapters and control vectors; optional, beside tier 2.

A ``DecoderModel`` that is an ``AdapterModel`` too loads them; its decoders are
then ``AdapterDecoder``. The engine never lets sequences with different
adapters share a step, and tells the decoder before a step if they change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import attrs

from headrace.adapters import AdapterInfo


class LoadedAdapter(Protocol):
    """An adapter or control vector that a model has loaded."""

    info: AdapterInfo

    def close(self) -> None:
        """Free it, at the latest when no decoder uses it any more. Closing again does nothing.

        Comes from any thread, also while a step runs with it.
        """
        ...


@attrs.frozen
class AppliedAdapter:
    """An adapter or control vector, and how strongly it acts."""

    loaded: LoadedAdapter
    """What this decoder's model loaded."""
    scale: float = 1.0
    """Factor of what it adds."""
    first_layer: int | None = None
    """Of a control vector: the first layer it is added to, from 1; None: its first."""
    last_layer: int | None = None
    """The last one, included; None: its last."""


@runtime_checkable
class AdapterModel(Protocol):
    """A ``DecoderModel`` that loads adapters and control vectors."""

    def load_adapter(self, path: str) -> LoadedAdapter:
        """Load a LoRA adapter.

        Raises:
            ModelNotFoundError: If there is no such file.
            ModelFormatError: If it is something else, or damaged.
            ModelLoadError: If it was made for another model.
            ModelMemoryError: If there is no memory for it.
        """
        ...

    def load_control_vector(self, path: str) -> LoadedAdapter:
        """Load a control vector; the errors are the same."""
        ...


@runtime_checkable
class AdapterDecoder(Protocol):
    """A ``SequenceDecoder`` that computes with them."""

    def use_adapters(self, adapters: Sequence[AppliedAdapter]) -> None:
        """Compute the steps that follow with these, and no others; at first there are none.

        Called between steps, by whoever drives. What is in memory keeps its values:
        the engine runs no sequence on memory that was computed with others.

        Raises:
            ClosedError: If one of them was closed meanwhile; nothing was changed.
        """
        ...
