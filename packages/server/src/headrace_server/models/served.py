"""A model that is loaded, and what belongs to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio

import headrace
from headrace import Capability
from headrace.errors import HeadraceError
from headrace_server.generation.admission import Admission
from headrace_server.generation.conversations import Conversations
from headrace_server.generation.pieces import Pieces
from headrace_server.generation.shelf import Shelf, folder_of
from headrace_server.models.adapters import Adapters
from headrace_server.models.pulse import Pulse
from headrace_server.models.spec import ModelSpec
from headrace_server.settings import ServerSettings

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange

RECENT = 1.0
"""Seconds after a request in which a process of its own is taken for alive without asking."""


class Served:
    """A loaded model, its queue and its kept sessions. For one event loop.

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
        self.shelf = _shelf(spec, model, settings)
        """Conversations on disk, if they are kept there."""
        self.conversations = Conversations(model, most=seats, shelf=self.shelf)
        self.pulse = Pulse(settings.stalled_after)
        self.slots: list[Exchange | None] = [None] * seats
        """Which request has which of the sequences."""
        self.adapters = Adapters()
        """The LoRA adapters that were loaded with it."""
        self.pieces = Pieces(model)
        self.recommended = headrace.SamplingParams()
        """What the model's makers recommend; the values that a request leaves out."""
        self.n_ctx: int | None = None
        """Most tokens of one request; None where the model generates nothing."""
        self.loaded_at = time.time()
        """In seconds since 1970."""
        self.began = anyio.current_time()
        """The same on the event loop's clock."""
        self.users = 0
        """Requests under way."""
        self.used_at = self.began
        """When the last of them ended, on the event loop's clock."""
        self._unused: anyio.Event | None = None

    @property
    def name(self) -> str:
        """What requests call it."""
        return self.spec.name

    async def prepare(self) -> None:
        """Have ready what every request needs: adapters, the memory of a context.

        Raises:
            HeadraceError: If an adapter cannot be loaded.
            ModelMemoryError: If there is too little memory.
        """
        spec, model = self.spec, self.model
        loaded = [(await model.aload_adapter(path), scale) for path, scale in spec.adapters]
        if loaded:
            self.adapters = Adapters(loaded)
            await self.conversations.use(self.adapters.current)
        if self.shelf is not None:
            await self.shelf.open()
        with contextlib.suppress(headrace.UnsupportedError):
            self.n_ctx = (await model.amemory_usage()).n_ctx_sequence
        if spec.sampling is not None:
            self.recommended = spec.sampling
        else:
            with contextlib.suppress(HeadraceError):
                self.recommended = await model.arecommended_sampling()

    def shown(self, render: Mapping[str, Any]) -> dict[str, Any]:
        """Keywords of ``session.chat`` that say what the model sees, with its own template."""
        own = {} if self.spec.template is None else {"template": self.spec.template}
        return {**own, **render}

    @property
    def template(self) -> str:
        """Source of the template that conversations are shown with; empty: there is none."""
        given = self.spec.template
        return given or str(self.model.info.metadata.get("tokenizer.chat_template", ""))

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

    def enter(self) -> None:
        """Note a request."""
        self.users += 1

    def leave(self) -> None:
        """Note a request's end."""
        self.users -= 1
        self.used_at = anyio.current_time()
        if not self.users and self._unused is not None:
            self._unused.set()
            self._unused = None

    async def unused(self) -> None:
        """Wait until no request uses it."""
        if self.users:
            self._unused = self._unused or anyio.Event()
            await self._unused.wait()

    async def check_alive(self) -> None:
        """Ask a process of its own whether it is there, if nobody did lately.

        Raises:
            BackendCrashedError: If it has ended.
        """
        if self.spec.params.isolation is None or self.users > 1:
            return
        if anyio.current_time() - self.used_at >= RECENT:
            with contextlib.suppress(headrace.UnsupportedError):
                await self.model.asystem_info()

    def retire(self) -> None:
        """Take nobody any more: whoever waits in the queue is sent to the next one."""
        self.admission.close()

    async def aclose(self) -> None:
        """Give everything back."""
        await self.conversations.aclose()
        await self.model.aclose()


def _shelf(spec: ModelSpec, model: headrace.Model, settings: ServerSettings) -> Shelf | None:
    if settings.state_dir is None or Capability.STATE not in model.capabilities:
        return None
    return Shelf(folder_of(settings.state_dir, spec.name, spec.reference), settings.state_bytes)
