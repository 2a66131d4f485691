"""What a model loads beside its weights: LoRA adapters and control vectors.

A handle belongs to the model that loaded it and is closed with it. Sessions
name handles in ``SessionParams``; the engine hands what is behind them to the
decoder before a step that needs them.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs

from headrace.common.closing import Closing
from headrace.errors import ClosedError


@attrs.frozen(kw_only=True)
class AdapterInfo:
    """What is known of the file of an adapter or control vector."""

    name: str
    """Its own name, or that of its file."""
    path: str
    """Where it was loaded from."""
    architecture: str | None = None
    """Family of the networks it was made for; None where the file does not say."""
    n_tensors: int = 0
    """Tensors in it: two for each matrix that a LoRA adapter changes, one for each direction."""
    size_bytes: int | None = None
    """Size of its tensors."""
    rank: int | None = None
    """Largest rank of a LoRA adapter's matrices."""
    alpha: float | None = None
    """``adapter.lora.alpha``: what is added to a matrix is scale · alpha / rank · B · A."""
    task: str | None = None
    """``adapter.lora.task_name``: what it was trained for."""
    prompt_prefix: str | None = None
    """``adapter.lora.prompt_prefix``: text that a prompt should begin with."""
    invocation_tokens: tuple[int, ...] = ()
    """``adapter.alora.invocation_tokens``: of an activated LoRA adapter, the tokens from which on
    it was trained to work."""
    layers: tuple[int, int] | None = None
    """Of a control vector, the first and the last layer it has a direction for."""
    metadata: dict[str, Any] = attrs.field(factory=dict)
    """The file's own key-value pairs."""


class LoadedAdapter(Protocol):
    """An adapter or control vector that a model has loaded."""

    info: AdapterInfo

    def close(self) -> None:
        """Free it, at the latest when no decoder uses it any more. Closing again does nothing.

        Comes from any thread, also while a step runs with it.
        """


class LoadedHandle(Closing):
    """What adapters and control vectors have in common.

    Args:
        loaded: What the backend loaded; closed with this object.
        owner: Stands for the model it belongs to, without being it: the engine's sequences
            hold handles, and a handle that held the model would close the circle.
    """

    kind = "adapter"
    instead = "Load its file again, by the model that is to use it: model.load_adapter(path)."

    def __init__(self, loaded: LoadedAdapter, owner: object) -> None:
        super().__init__()
        self.info: AdapterInfo = loaded.info
        self.owner = owner
        """Stands for the model that loaded it: no other can use it."""
        self.loaded = loaded
        """What the backend's decoder is given."""
        self._closed = False

    @property
    def name(self) -> str:
        """Its own name, or that of its file."""
        return self.info.name

    @property
    def path(self) -> str:
        """Where it was loaded from."""
        return self.info.path

    @property
    def closed(self) -> bool:
        """Whether it was closed, by itself or with its model."""
        return self._closed

    def close(self) -> None:
        """Free it once no step runs with it.

        A session that uses it cannot go on until it is given others: its running
        generation and later ones end with ``ClosedError``. Closing again does nothing.
        """
        if not self._closed and self._in_own_process():
            self._closed = True
            self.loaded.close()

    def __del__(self) -> None:
        # As with a session: nobody can use it any more, so nobody needs to be told.
        if hasattr(self, "_closed"):
            self.close()

    def check_open(self) -> None:
        """Raise unless it can be used.

        Raises:
            ClosedError: If it was closed.
            ForkedProcessError: In a forked child.
        """
        self._check_process()
        if self._closed:
            raise ClosedError(
                f"the {self.kind} {self.name!r} was closed",
                hint="Load it again, and give it to the sessions that used it.",
            )

    def _described(self) -> str:
        return f"{self.name!r}: closed" if self._closed else f"{self.name!r}"


class Adapter(LoadedHandle):
    """A LoRA adapter, loaded by ``model.load_adapter``."""

    kind = "adapter"


class ControlVector(LoadedHandle):
    """A control vector, loaded by ``model.load_control_vector``."""

    kind = "control vector"
    instead = "Load its file again, by the model that is to use it: load_control_vector(path)."
