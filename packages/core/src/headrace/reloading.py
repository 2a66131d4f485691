"""``ModelReference``: what a model was loaded from, to load it again somewhere else.

A model stays in its process. What can be passed on is how it came to be: a value
without handles, made by ``load_model`` and kept by the model as ``model.reference``.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from headrace.bases import ModelBase
from headrace.errors import CopyError
from headrace.params import EngineParams, ModelParams
from headrace.references import resolver_of

if TYPE_CHECKING:
    from typing import Any

    from headrace.protocols.waist import Backend, Model

Progress = Callable[[float], "bool | None"]


@attrs.frozen
class ModelReference:
    """What ``load_model`` was given, as a value: it can be compared, pickled and loaded."""

    reference: str
    """The path, made absolute, or the string that was given, such as ``hf:org/repo/model.gguf``:
    on another machine it is fetched there."""

    backend: str | Backend | None = attrs.field(default=None, kw_only=True)
    """Name of the backend that loaded it; the object, where that is not the installed one of its
    name. None: whichever can."""

    params: ModelParams = attrs.field(factory=ModelParams, kw_only=True)
    """What is loaded and where."""

    engine: EngineParams = attrs.field(factory=EngineParams, kw_only=True)
    """What the sessions of the model share."""

    @classmethod
    def of(
        cls,
        reference: str | os.PathLike[str],
        backend: Backend,
        params: ModelParams,
        engine: EngineParams,
        *,
        installed: Backend | None,
    ) -> ModelReference:
        """The reference of a load.

        Args:
            reference: What the caller named.
            backend: What loaded it.
            params: What was loaded and where.
            engine: What the sessions share.
            installed: The installed backend of that name, if there is one.
        """
        text = os.fsdecode(reference)
        # A relative path means another file after a change of directory.
        is_path = resolver_of(text) is None and os.path.exists(text)
        return cls(
            os.path.abspath(text) if is_path else text,
            backend=backend.name if backend is installed else backend,
            params=params,
            engine=engine,
        )

    def load(self, *, progress: Progress | None = None) -> Model:
        """Load the model again, here; ``load_model`` says what may be raised."""
        from headrace.loading import load_model

        return load_model(
            self.reference,
            backend=self.backend,
            params=self.params,
            engine=self.engine,
            progress=progress,
        )

    async def aload(self, *, progress: Progress | None = None) -> Model:
        """``load`` for a task of asyncio or trio; see ``aload_model``."""
        from headrace.loading import aload_model

        return await aload_model(
            self.reference,
            backend=self.backend,
            params=self.params,
            engine=self.engine,
            progress=progress,
        )

    def __repr__(self) -> str:
        backend = self.backend if isinstance(self.backend, str) else type(self.backend).__name__
        return f"<{type(self).__name__} {self.reference!r} by {backend}>"

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.backend, str):
            _check_pickles(self.backend)
        return attrs.asdict(self, recurse=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)


def note_reference(model: Model, reference: ModelReference) -> None:
    """Have a model know what it was loaded from; one that inherits nothing of ours need not."""
    if isinstance(model, ModelBase):
        model._reference = reference


def _check_pickles(backend: object) -> None:
    try:
        pickle.dumps(backend)
    except Exception as error:  # whatever an object makes of being pickled
        raise CopyError(
            f"the reference names a backend object that cannot be pickled: {error}",
            hint="Install the backend as a plugin and load the model by the backend's name.",
        ) from error
