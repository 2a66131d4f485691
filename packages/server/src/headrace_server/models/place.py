"""``Place``: a model's name, and what stands behind it at the moment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import anyio
import attrs

from headrace_server.models.background import Job
from headrace_server.models.served import Served
from headrace_server.models.spec import ModelSpec

STEADY = 60.0
"""Seconds that a model has to live for its earlier deaths to be forgotten."""


@attrs.define(eq=False)
class Load:
    """A load under way."""

    progress: float = 0.0
    """From 0 to 1."""
    waiting: int = 0
    """Requests that wait for it."""
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    served: Served | None = None
    """What it has brought; each of those who waited is a user of it already."""
    error: Exception | None = None
    """What it failed with, once it has ended."""
    job: Job | None = None


@attrs.define
class BackOff:
    """How long to wait before the next try: twice as long after each failure, up to a cap."""

    first: float = 0.5
    most: float = 30.0
    failures: int = 0

    @property
    def delay(self) -> float:
        """Seconds before the next try; 0 where the last one succeeded."""
        if not self.failures:
            return 0.0
        return min(self.most, self.first * 2.0 ** min(self.failures - 1, 30))


@attrs.define(eq=False)
class Place:
    """A model's name, and what stands behind it at the moment."""

    spec: ModelSpec
    served: Served | None = None
    load: Load | None = None
    asleep: bool = False
    """Whether it was loaded and left because nobody asked."""
    error: Exception | None = None
    """Why it is not there: what its last load failed with."""
    retry_at: float = 0.0
    """When a request begins the next load, if the last one failed."""
    back_off: BackOff = attrs.field(factory=BackOff)
    died: int = 0
    """How often it has died."""
    changed_at: float = attrs.field(factory=time.time)
    """When its state changed last, in seconds since 1970."""
    props: Mapping[str, Any] | None = None
    """What ``/props`` told of it while it was loaded: told again without waking it."""

    @property
    def state(self) -> str:
        """``unloaded``, ``loading``, ``loaded``, ``sleeping`` or ``failed``."""
        if self.load is not None:
            return "loading"
        if self.served is not None:
            return "loaded"
        if self.error is not None:
            return "failed"
        return "sleeping" if self.asleep else "unloaded"

    @property
    def health(self) -> str:
        """``ok``, ``loading``, ``stalled`` or ``failed``."""
        if self.load is not None:
            return "loading"
        if self.served is not None and self.served.pulse.stalled:
            return "stalled"
        return "failed" if self.error is not None else "ok"

    def note_failure(self, error: Exception, now: float) -> None:
        """Note that a load failed."""
        self.error = error
        self.back_off.failures += 1
        self.retry_at = now + self.back_off.delay

    def note_death(self, served: Served, now: float) -> float:
        """Note that the model died.

        Returns:
            Seconds before it is to be loaded again.
        """
        if now - served.began >= STEADY:
            self.back_off.failures = 0
        self.died += 1
        self.back_off.failures += 1
        return self.back_off.delay
