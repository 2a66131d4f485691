"""``ModelReference``: what a model was loaded from, to load it again somewhere else.

A model stays in its process. What can be passed on is how it came to be: a value
without handles, made by ``load_model`` and kept by the model as ``model.reference``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from headrace.common import above
from headrace.errors import CopyError
from headrace.params import EngineParams, ModelParams

Progress = Callable[[float], "bool | None"]


class Named(Protocol):
    """A backend, of which only the name is of interest here."""

    name: str


@attrs.frozen
class ModelReference:
    """What ``load_model`` was given, as a value: it can be compared, pickled and loaded."""

    reference: str
    """The path, made absolute, or the string that was given, such as ``hf:org/repo/model.gguf``:
    on another machine it is fetched there."""

    backend: str | Named | None = attrs.field(default=None, kw_only=True)
    """Name of the backend that loaded it; the object, where that is not the installed one of its
    name. None: whichever can."""

    params: ModelParams = attrs.field(factory=ModelParams, kw_only=True)
    """What is loaded and where."""

    engine: EngineParams = attrs.field(factory=EngineParams, kw_only=True)
    """What the sessions of the model share."""

    def load(
        self, *, options: Mapping[str, object] | None = None, progress: Progress | None = None
    ) -> Any:
        """Load the model again, here; ``load_model`` says what may be raised.

        Args:
            options: As for ``load_model``. A reference has none: it travels, and keys must not.
            progress: The same.
        """
        return above.function("load_model")(
            self.reference,
            backend=self.backend,
            params=self.params,
            engine=self.engine,
            options=options,
            progress=progress,
        )

    async def aload(
        self, *, options: Mapping[str, object] | None = None, progress: Progress | None = None
    ) -> Any:
        """``load`` for a task of asyncio or trio; see ``aload_model``."""
        return await above.function("aload_model")(
            self.reference,
            backend=self.backend,
            params=self.params,
            engine=self.engine,
            options=options,
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


def _check_pickles(backend: object) -> None:
    import pickle

    try:
        pickle.dumps(backend)
    except Exception as error:  # whatever an object makes of being pickled
        raise CopyError(
            f"the reference names a backend object that cannot be pickled: {error}",
            hint="Install the backend as a plugin and load the model by the backend's name.",
        ) from error
