"""The backend object: claims GGUF files, and loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.errors import BackendUnavailableError
from headrace.protocols import PROTOCOL_VERSION, LoadRequest, Model
from headrace.results import Capability
from headrace_llamacpp._version import __version__
from headrace_llamacpp.abilities import ABILITIES
from headrace_llamacpp.files import BACKEND, check_model_file, looks_like_model

if TYPE_CHECKING:
    from headrace_llamacpp.model import LlamaModel


class LlamaCppBackend:
    """Loads GGUF files with llama.cpp, in this process."""

    name = BACKEND
    protocol_version = PROTOCOL_VERSION
    version = __version__

    def can_load(self, reference: str) -> bool:
        """Whether the file begins with ``GGUF``, or the path ends in ``.gguf``."""
        return looks_like_model(reference)

    def capabilities(self) -> frozenset[Capability]:
        """What a model that makes text can do at best; others have less."""
        return ABILITIES

    def load(self, request: LoadRequest) -> Model:
        """Load a model; see ``load_model`` for what it raises."""
        # Imported here because discovery imports this module and needs no engine.
        from headrace.engine import EngineModel

        model = self.load_decoder_model(request)
        return EngineModel(model, request.engine, model.capabilities(request.engine))

    def load_decoder_model(self, request: LoadRequest) -> LlamaModel:
        """The same without an engine around it."""
        path = check_model_file(request.reference)
        try:
            from headrace_llamacpp.model import LlamaModel
        except BackendUnavailableError:
            raise
        except ImportError as error:
            raise BackendUnavailableError(
                f"the llama.cpp binding cannot be imported: {error}",
                hint="Install it with: pip install headrace-llamacpp-ffi.",
                backend=BACKEND,
            ) from error
        return LlamaModel(path, request.params, request.progress)
