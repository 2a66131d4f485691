"""The backend object: claims folders that transformers has saved, and loads them."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from headrace.errors import ModelFormatError, ModelLoadCancelledError, ModelNotFoundError
from headrace.protocols import LoadRequest, Model
from headrace.results import Capability

_ABILITIES = frozenset(
    {
        Capability.TOKENIZE,
        Capability.GENERATE,
        Capability.INTERRUPT,
        Capability.REPRODUCIBLE,
        Capability.LOGPROBS,
        Capability.GRAMMAR,
        Capability.STATE,  # the history; memory is computed again
    }
)


class TransformersBackend:
    """Loads causal language models from a folder, never from the network."""

    name = "transformers"
    protocol_version = 2
    version = "0.1.0"

    def can_load(self, reference: str) -> bool:
        """Whether it is a folder with a ``config.json`` that names a kind of model."""
        return "model_type" in (_config(Path(reference)) or {})

    def capabilities(self) -> frozenset[Capability]:
        """Rows of a step are run one after the other: no batching."""
        return _ABILITIES

    def build(self) -> str:
        """Versions of the libraries, without importing them."""
        names = ("transformers", "torch")
        return " ".join(f"{name} {metadata.version(name)}" for name in names)

    def load(self, request: LoadRequest) -> Model:
        """Load a model; see ``headrace.load_model`` for what it raises."""
        folder = Path(request.reference)
        if not folder.exists():
            raise ModelNotFoundError(
                f"there is no model folder at {request.reference!r}",
                hint="Nothing is downloaded: save the model there with save_pretrained.",
                backend=self.name,
            )
        if not self.can_load(request.reference):
            raise ModelFormatError(
                f"{request.reference!r} is no folder with a config.json that has a model_type",
                backend=self.name,
            )
        # These imports take seconds; an ImportError becomes BackendUnavailableError.
        from headrace.engine import EngineModel
        from headrace_transformers.model import TorchModel

        def progress(fraction: float) -> None:
            if request.progress is not None and request.progress(fraction) is False:
                raise ModelLoadCancelledError("the load was cancelled", backend=self.name)

        progress(0.0)
        model = TorchModel(folder, request.params, build=self.build(), progress=progress)
        progress(1.0)
        able = _ABILITIES if model.interruptible else _ABILITIES - {Capability.INTERRUPT}
        return EngineModel(model, request.engine, able)


def _config(folder: Path) -> dict[str, object] | None:
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
