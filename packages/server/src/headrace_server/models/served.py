"""A model that is loaded, and what belongs to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import headrace
from headrace_server.generation.admission import Admission
from headrace_server.generation.conversations import Conversations
from headrace_server.generation.pieces import Pieces
from headrace_server.models.adapters import Adapters
from headrace_server.models.pulse import Pulse
from headrace_server.models.spec import ModelSpec
from headrace_server.settings import ServerSettings

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange


class Served:
    """A loaded model, its queue and its kept sessions.

    Args:
        spec: What it was loaded from.
        model: The model.
        settings: The server's.
    """

    def __init__(self, spec: ModelSpec, model: headrace.Model, settings: ServerSettings) -> None:
        self.spec = spec
        self.model = model
        seats = spec.engine.n_sequences
        self.admission = Admission(seats, settings.max_queue)
        self.conversations = Conversations(model, most=2 * seats)
        self.pulse = Pulse(settings.stalled_after)
        self.slots: list[Exchange | None] = [None] * seats
        """Which request has which of the sequences."""
        self.adapters = Adapters()
        """The LoRA adapters that were loaded with it."""
        self.recommended = headrace.SamplingParams()
        """What the model's makers recommend; the values that a request leaves out."""
        self.pieces = Pieces(model)
        self.loaded_at = time.time()
        self.users = 0
        """Requests under way."""
        self.used_at = time.monotonic()

    @property
    def name(self) -> str:
        """What requests call it."""
        return self.spec.name

    def take_slots(self, exchange: Exchange, n: int) -> Sequence[int]:
        """Numbers of sequences for a request that was admitted; give them back."""
        free = [number for number, user in enumerate(self.slots) if user is None][:n]
        for number in free:
            self.slots[number] = exchange
        return free

    def leave_slots(self, slots: Sequence[int]) -> None:
        """Give back what ``take_slots`` gave."""
        for number in slots:
            self.slots[number] = None

    async def aclose(self) -> None:
        """Give everything back."""
        await self.conversations.aclose()
        await self.model.aclose()
