"""A backend of tier 1 that knows nothing but text, as a remote service would."""

# The protocol says what its methods do.
# ruff: noqa: D101, D102

from __future__ import annotations

import itertools

from headrace import Capability, ModelInfo, ModelNotFoundError, StopReason
from headrace.protocols import Delta, ServiceModel, ServiceSession

INFO = ModelInfo(
    name="echo",
    backend="echo",
    build="1",
    architecture="none",
    description="counts",
    n_vocab=0,
    n_ctx_train=0,
)


class EchoBackend:
    """Models that count."""

    name, version, protocol_version = "echo", "1", 2
    session = None

    def __init__(self, *, fault=""):
        self.fault = fault

    def can_load(self, reference):
        return reference.startswith("echo:")

    def capabilities(self):
        return frozenset({Capability.GENERATE})

    def load(self, request):
        if not self.can_load(request.reference):
            raise ModelNotFoundError(f"there is no model {request.reference!r}")
        session = self.session or EchoSession
        return ServiceModel(INFO, type("EchoSession", (session,), {"fault": self.fault}))


class EchoSession(ServiceSession):
    fault = ""
    takes = frozenset({"temperature"})
    takes_ignore_eog = True

    def _stream_from(self, request, call):
        counted = sum(word.isdecimal() for word in request.prompt.split())
        for made in itertools.count():
            if made == request.max_tokens:
                yield Delta(end=StopReason.MAX_TOKENS)
            yield f"{counted + made + 1} "

    def _remember(self, before, written):
        cancelled = self._answer.interrupted is not None
        if self.fault == "goes_on" or (self.fault == "cancelled" and cancelled):
            written += "0 "
        super()._remember(f"{before} ", written)

    def _rewind(self, to):
        super()._rewind(to)
        if self.fault == "reset":
            self._history = "0 "

    def _fork(self):
        forked = super()._fork()
        if self.fault == "fork":
            forked._history += "0 "
        return forked
