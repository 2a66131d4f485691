"""A backend of the first tier, as its author writes it."""

from __future__ import annotations

from headrace import Capability, ModelInfo, ModelNotFoundError, SessionParams, StopReason
from headrace.protocols import (
    Backend,
    Begun,
    ChatRequest,
    Delta,
    GenerateRequest,
    Generation,
    GenerationReport,
    InfillRequest,
    LoadRequest,
    Model,
    Piece,
    Session,
)
from headrace.results import Receipt, Timings, Usage


class Answer:
    """One letter."""

    def __init__(self) -> None:
        self.carry = b""
        self.interrupted: StopReason | None = None

    def pull(self, max_wait: float | None) -> Delta | None:
        """The letter."""
        return Delta((Piece(None, b"a"),), StopReason.EOG)

    async def apull(self, max_wait: float | None) -> Delta | None:
        """The same."""
        return self.pull(max_wait)

    def deliver(self, pieces: int) -> bool:
        """Always."""
        return True

    def interrupt(self, reason: StopReason) -> None:
        """Remember."""
        self.interrupted = reason

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """Count."""
        return GenerationReport(Usage(), Timings(), Receipt("letter", "1", None, False, "no"))

    def counters(self) -> tuple[int, int, int]:
        """Nothing."""
        return 0, 0, 0


class LetterSession(Session):
    """A session."""

    def _begin(self, request: GenerateRequest | ChatRequest | InfillRequest) -> Begun:
        generation: Generation = Answer()
        return Begun(generation)

    def _close(self) -> None:
        """Nothing to free."""


class LetterModel(Model):
    """A model."""

    def __init__(self) -> None:
        info = ModelInfo("letter", "letter", "1", "none", "writes a", 0, 0)
        super().__init__(info, frozenset({Capability.GENERATE}))

    def _open(self, params: SessionParams) -> LetterSession:
        return LetterSession(self, params)


class LetterBackend:
    """A backend."""

    name = "letter"
    protocol_version = 2
    version = "1"

    def can_load(self, reference: str) -> bool:
        """Its scheme."""
        return reference == "letter"

    def capabilities(self) -> frozenset[Capability]:
        """One."""
        return frozenset({Capability.GENERATE})

    def load(self, request: LoadRequest) -> Model:
        """The model."""
        if not self.can_load(request.reference):
            raise ModelNotFoundError("no", backend=self.name)
        return LetterModel()


BACKEND: Backend = LetterBackend()
