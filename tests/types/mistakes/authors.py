"""Mistakes of a backend's author: each line that ends with ``# refused`` is one."""

from __future__ import annotations

from headrace import Capability, ModelInfo, SessionParams
from headrace.protocols import Backend, Begun, GenerateRequest, LoadRequest, Model, Session

INFO = ModelInfo("letter", "letter", "1", "none", "writes a", 0, "many")  # refused


class Narrow(Session):
    """Takes less than it is given."""

    def _begin(self, request: GenerateRequest) -> Begun:  # refused
        return Begun(request)  # refused

    def _close(self) -> None:
        """Nothing to free."""


class NoClose(Session):
    """Lacks a method."""

    def _begin(self, request: object) -> Begun:
        raise NotImplementedError


class Wrong(Model):
    """Returns something else."""

    def _open(self, params: SessionParams) -> str:  # refused
        return "session"


def made(model: Model) -> None:
    """Objects of them."""
    NoClose(model, SessionParams())  # refused
    Model(INFO, frozenset())  # refused


class Halved:
    """Half a backend."""

    name = "halved"
    version = "1"

    def can_load(self, reference: str) -> bool:
        """Nothing."""
        return False

    def capabilities(self) -> frozenset[Capability]:
        """None."""
        return frozenset()

    def load(self, request: LoadRequest) -> Model:
        """None."""
        raise NotImplementedError


BACKEND: Backend = Halved()  # refused
