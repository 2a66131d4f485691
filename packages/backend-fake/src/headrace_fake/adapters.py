"""The fake's adapters and control vectors: they change what is written, as much as they act.

``fake:Ahoy`` has a scripted model write that text instead of its script; of a
model without one it changes what is drawn, like another seed. At scale 0
nothing changes, and two that are each other's opposite cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import attrs

from headrace.adapters import AdapterInfo
from headrace.errors import ClosedError
from headrace.protocols import AppliedAdapter
from headrace_fake import chain
from headrace_fake.faults import fail_to_load
from headrace_fake.options import FakeOptions
from headrace_fake.reference import parse_reference

_UNIT = 2**20
_MASK = 2**64 - 1


class FakeAdapter:
    """A text, and a number drawn from it.

    Args:
        reference: As for models, such as ``fake:Ahoy#seed=3``; of the options ``seed`` and
            ``load_fault`` mean something.
        owner: The model that loads it.
        is_vector: A control vector, which is not the adapter of the same reference.

    Raises:
        HeadraceError: The one that ``load_fault`` names.
    """

    def __init__(self, reference: str, owner: object, *, is_vector: bool = False) -> None:
        options = parse_reference(reference, FakeOptions())
        if options.load_fault is not None:
            fail_to_load(options.load_fault)
        self.owner = owner
        self.closed = False
        self.script = options.script
        text = options.script or b""
        self.weight = chain.links(chain.EMPTY, [options.seed, is_vector, *text])[-1]
        name = text.decode(errors="replace") or f"seed {options.seed}"
        self.info = AdapterInfo(name=name, path=reference, architecture="script")

    def close(self) -> None:
        """Closing again does nothing."""
        self.closed = True


@attrs.frozen
class Flavour:
    """What a set of adapters makes of a model."""

    salt: int = 0
    """Added to what is drawn from; 0: nothing changes."""
    script: bytes | None = None
    """Written instead of the model's script."""

    @classmethod
    def of(cls, adapters: Sequence[AppliedAdapter]) -> Flavour:
        """What these make of it together.

        Raises:
            ClosedError: If one of them was closed.
        """
        total, script = Fraction(0), None
        for applied in adapters:
            adapter = applied.loaded
            assert isinstance(adapter, FakeAdapter)
            if adapter.closed:
                raise ClosedError(f"the adapter {adapter.info.name!r} was closed", backend="fake")
            total += Fraction(applied.scale) * adapter.weight
            script = adapter.script if applied.scale else script
        salt = int(total * _UNIT) & _MASK
        return cls(salt, script) if salt else cls()
