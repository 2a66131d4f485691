"""A model that is loaded, and what belongs to it."""

from __future__ import annotations

import time

import headrace
from headrace_server.generation.admission import Admission
from headrace_server.generation.conversations import Conversations
from headrace_server.generation.pieces import Pieces
from headrace_server.models.pulse import Pulse
from headrace_server.models.spec import ModelSpec
from headrace_server.settings import ServerSettings


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

    async def aclose(self) -> None:
        """Give everything back."""
        await self.conversations.aclose()
        await self.model.aclose()
