"""What the parent holds by a number: adapters, control vectors, parsers of answers."""

from __future__ import annotations

from typing import Any

import attrs

from headrace.adapters import Adapter
from headrace.errors import ClosedError
from headrace.params import SessionParams
from headrace.params.adapters import AdapterUse, ControlVectorUse
from headrace.streams.parser import RenderedChat


class Things:
    """Objects by the numbers that the parent has given them."""

    def __init__(self) -> None:
        self._things: dict[int, Any] = {}

    def keep(self, number: int, thing: Any) -> Any:
        """Remember a thing; returns it."""
        self._things[number] = thing
        return thing

    def get(self, number: int) -> Any:
        """The thing.

        Raises:
            ClosedError: If the parent has dropped it.
        """
        try:
            return self._things[number]
        except KeyError:
            raise ClosedError("it was closed") from None

    def forget(self, number: int) -> None:
        """Drop a thing, and close it if it can be closed."""
        thing = self._things.pop(number, None)
        if hasattr(thing, "close"):
            thing.close()

    def with_uses(self, params: SessionParams, uses: list[Any]) -> SessionParams:
        """The params with the adapters and control vectors of those numbers."""
        adapters, vectors = [], []
        for number, scale, first, last in uses:
            handle = self.get(number)
            if isinstance(handle, Adapter):
                adapters.append(AdapterUse(handle, scale))
            else:
                vectors.append(ControlVectorUse(handle, scale, first, last))
        return attrs.evolve(params, adapters=adapters, control_vectors=vectors)


def told_rendering(rendered: RenderedChat) -> dict[str, Any]:
    """What the parent needs to know of a rendered conversation; its parser stays here."""
    return {
        "prompt": rendered.prompt,
        "grammar": rendered.grammar,
        "stops": rendered.stops,
        "spoken": rendered.spoken,
        "plain": rendered.plain,
    }
