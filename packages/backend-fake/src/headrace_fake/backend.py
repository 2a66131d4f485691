"""The backend object: loads a ``FakeModel`` from a reference such as ``fake:Hello world``."""

from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.backend.decoder import Truncation
from headrace.common.description import Described
from headrace.errors import ModelLoadCancelledError
from headrace.results import Capability
from headrace_fake._version import __version__
from headrace_fake.misuse import MisuseError, MisuseLog
from headrace_fake.options import SCHEME, FakeOptions

if TYPE_CHECKING:
    from headrace.protocols import LoadRequest, Model
    from headrace.results.diagnosis import BackendDiagnosis
    from headrace.results.machine import Device, MemoryEstimate
    from headrace_fake.decoder import FakeDecoder
    from headrace_fake.model import FakeModel

_LOAD_STEPS = 10
_ABILITIES = frozenset(
    {
        Capability.TOKENIZE,
        Capability.GENERATE,
        Capability.BATCHING,
        Capability.INTERRUPT,
        Capability.SHIFT,
        Capability.REPRODUCIBLE,
        Capability.SPECULATE,
        Capability.LOGPROBS,
        Capability.EMBED,
        Capability.RERANK,
        Capability.STATE,
        Capability.CHAT,
        Capability.LORA,
        Capability.CONTROL_VECTORS,
        Capability.SCORE,
        Capability.GRAMMAR,
        Capability.INFILL,
    }
)


class FakeBackend(Described):
    """Loads models that write what they are told to.

    Args:
        options: What its models do, where the reference does not say otherwise.
        changes: Single options by name, see ``FakeOptions``.

    Raises:
        ParamsError: For an unknown option or a wrong value.
    """

    name = "fake"
    protocol_version = 2
    version = __version__

    def _described(self) -> str:
        return f"{self.name!r} {self.version}"

    def __init__(self, options: FakeOptions | None = None, **changes: Any) -> None:
        self.options = (options or FakeOptions()).changed(changes)
        self._misuse = MisuseLog()
        self._models: weakref.WeakValueDictionary[int, FakeModel] = weakref.WeakValueDictionary()
        self._numbers = itertools.count()

    def __reduce__(self) -> tuple[type[FakeBackend], tuple[FakeOptions]]:
        return type(self), (self.options,)  # what it notes of its models stays with them

    @property
    def violations(self) -> tuple[MisuseError, ...]:
        """How the decoder protocol was broken so far; a test expects none."""
        return self._misuse.errors

    @property
    def decoders(self) -> list[FakeDecoder]:
        """The open decoders of all its models, oldest first."""
        return [decoder for model in self._models.values() for decoder in model.decoders]

    def can_load(self, reference: str) -> bool:
        """Whether the reference begins with ``fake:``."""
        return reference.startswith(SCHEME)

    def capabilities(self) -> frozenset[Capability]:
        """Everything, as far as the options allow."""
        able = set(_ABILITIES)
        if not self.options.interruptible:
            able.discard(Capability.INTERRUPT)
        if not self.options.shiftable:
            able.discard(Capability.SHIFT)
        if self.options.truncation is Truncation.NONE:
            able.discard(Capability.SPECULATE)
        return frozenset(able)

    def build(self) -> str:
        """Its own version: there is no library behind it."""
        return f"headrace-fake {self.version}"

    def diagnose(self) -> BackendDiagnosis:
        """Nothing native; it can be tried without a file."""
        from headrace.results.diagnosis import BackendDiagnosis
        from headrace.results.machine import SystemInfo
        from headrace_fake import memory_needs

        system = SystemInfo(backend=self.name, build=self.build(), devices=(memory_needs.DEVICE,))
        return BackendDiagnosis(system=system, self_test=f"{SCHEME}The gate is open.")

    def devices(self) -> tuple[Device, ...]:
        """One that pretends to compute."""
        from headrace_fake import memory_needs

        return (memory_needs.device(self.options),)

    def estimate(self, request: LoadRequest) -> MemoryEstimate:
        """What a model and a context would need, see ``FakeOptions.memory``."""
        from headrace_fake import memory_needs
        from headrace_fake.reference import parse_reference

        options = parse_reference(request.reference, self.options)
        return memory_needs.estimate(options, request.engine)

    def load(self, request: LoadRequest) -> Model:
        """Load a model; see ``load_model`` for what it raises."""
        # As all else here that discovery, which imports this module, has no use for.
        from headrace.engine import EngineModel

        model = self.load_decoder_model(request)
        able = self.capabilities()
        if request.params.vocab_only:
            able = frozenset({Capability.TOKENIZE})
        return EngineModel(model, request.engine, able)

    def load_decoder_model(self, request: LoadRequest) -> FakeModel:
        """The same without an engine around it."""
        from headrace_fake import memory_needs
        from headrace_fake.model import FakeModel
        from headrace_fake.reference import parse_reference

        options = parse_reference(request.reference, self.options)
        if request.params.check_memory and not request.params.vocab_only:
            memory_needs.check(options, None)
        _pretend_to_load(options, request.progress)
        model = FakeModel(options, request.params, build=self.build(), misuse=self._misuse)
        self._models[next(self._numbers)] = model
        return model


def _pretend_to_load(options: FakeOptions, progress: Callable[[float], bool | None] | None) -> None:
    for step in range(_LOAD_STEPS + 1):
        if progress is not None and progress(step / _LOAD_STEPS) is False:
            raise ModelLoadCancelledError("the load was cancelled", backend="fake")
        if options.load_fault is not None and step == _LOAD_STEPS // 2:
            from headrace_fake.faults import fail_to_load

            fail_to_load(options.load_fault)
        if options.load_delay and step < _LOAD_STEPS:
            time.sleep(options.load_delay / _LOAD_STEPS)
