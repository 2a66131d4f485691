"""The backend object: claims GGUF files, and loads them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.common.description import Described
from headrace.errors import BackendUnavailableError
from headrace.results import Capability
from headrace_llamacpp._version import __version__
from headrace_llamacpp.abilities import ABILITIES
from headrace_llamacpp.files import BACKEND, check_model_file, looks_like_model

if TYPE_CHECKING:
    from headrace.backend.abilities import FileStage, QuantizeRequest
    from headrace.protocols import LoadRequest, Model
    from headrace.results.diagnosis import BackendDiagnosis
    from headrace.results.files import FileInfo
    from headrace.results.machine import Device, MemoryEstimate
    from headrace_llamacpp.model import LlamaModel


class LlamaCppBackend(Described):
    """Loads GGUF files with llama.cpp, in this process."""

    name = BACKEND
    protocol_version = 2
    version = __version__

    def _described(self) -> str:
        return f"{self.name!r} {self.version}"

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

    def build(self) -> str:
        """llama.cpp and its commit, without importing it.

        Raises:
            BackendUnavailableError: If the binding is not installed.
        """
        with _native_part():
            from headrace_llamacpp_ffi import build_info
        return f"llama.cpp {build_info.llama_cpp_commit[:10]}"

    def diagnose(self) -> BackendDiagnosis:
        """What llama.cpp is and computes with; of a binding that fails, how it was built."""
        from headrace_llamacpp.diagnosis import diagnose

        return diagnose(_native_part)

    def devices(self) -> tuple[Device, ...]:
        """The devices of the machine that llama.cpp was built for.

        Raises:
            BackendUnavailableError: If the binding cannot be imported.
        """
        with _native_part():
            from headrace_llamacpp.system import devices
        return devices()

    def estimate(self, request: LoadRequest) -> MemoryEstimate:
        """What a model will need; see ``headrace.estimate_memory``."""
        path = check_model_file(request.reference)
        with _native_part():
            from headrace_llamacpp.memory import estimate
        return estimate(path, request.params, request.engine)

    def load_decoder_model(self, request: LoadRequest) -> LlamaModel:
        """The same without an engine around it."""
        path = check_model_file(request.reference)
        with _native_part():
            from headrace_llamacpp.model import LlamaModel
        return LlamaModel(path, request.params, request.progress)

    def inspect(self, path: str) -> FileInfo:
        """What a GGUF file says of itself."""
        from headrace.results.files import FileInfo, TensorInfo

        with _native_part():
            from headrace_llamacpp.gguf import GgufFile
        with GgufFile(path) as file:
            return FileInfo(
                path=file.path,
                format=f"GGUF {file.version}",
                metadata=file.metadata(),
                tensors=tuple(
                    TensorInfo(each.name, each.shape, each.type, each.size)
                    for each in file.tensors()
                ),
            )

    def file_stages(self, path: str) -> Sequence[FileStage]:
        """What ``check_model`` looks at before it loads a GGUF file."""
        with _native_part():
            from headrace_llamacpp import file_check
        return file_check.file_stages(path)

    def has_chat_template(self, model: Model) -> bool:
        """Whether the file has one."""
        return "tokenizer.chat_template" in model.info.metadata

    def serve_devices(self, host: str, port: int, *, n_threads: int | None) -> None:
        """Serve this machine's devices; see ``headrace rpc-server``."""
        with _native_part():
            from headrace_llamacpp import remote
        remote.serve(host, port, n_threads)

    def quantization_types(self) -> tuple[str, ...]:
        """The types that ``quantize`` knows, the largest first."""
        with _native_part():
            from headrace_llamacpp.quantization import TYPES
        return tuple(TYPES)

    def quantize(self, request: QuantizeRequest) -> None:
        """Write a quantized copy."""
        with _native_part():
            from headrace_llamacpp.quantization import quantize
        quantize(request)

    def split(
        self,
        path: str,
        prefix: Path,
        *,
        max_bytes: int | None,
        max_tensors: int | None,
        progress: Callable[[float], bool | None] | None,
    ) -> list[Path]:
        """Write a GGUF file as several."""
        with _native_part():
            from headrace_llamacpp import repartition
        return repartition.split(
            path, prefix, max_bytes=max_bytes, max_tensors=max_tensors, progress=progress
        )

    def merge(
        self, path: str, target: Path, *, progress: Callable[[float], bool | None] | None
    ) -> None:
        """Write shards as one GGUF file."""
        with _native_part():
            from headrace_llamacpp import repartition
        repartition.merge(path, target, progress=progress)


@contextlib.contextmanager
def _native_part() -> Iterator[None]:
    """Around an import that may need the extension."""
    try:
        yield
    except BackendUnavailableError:
        raise
    except ImportError as error:
        raise BackendUnavailableError(
            f"the llama.cpp binding cannot be imported: {error}",
            hint="Install it with: pip install headrace-llamacpp-ffi.",
            backend=BACKEND,
        ) from error
