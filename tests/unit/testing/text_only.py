"""A backend of tier 1 that knows nothing but text, as a remote service would."""

# The protocol says what its methods do.
# ruff: noqa: D101, D102

from __future__ import annotations

import threading

from headrace import (
    Capability,
    ClosedError,
    ModelInfo,
    ModelNotFoundError,
    ParamsError,
    StopReason,
    UnsupportedError,
)
from headrace.protocols import (
    Begun,
    Delta,
    GenerateRequest,
    GenerationReport,
    Model,
    Piece,
    Session,
)
from headrace.results import Receipt, Timings, Usage

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

    def __init__(self, *, fault=""):
        self.fault = fault

    def can_load(self, reference):
        return reference.startswith("echo:")

    def capabilities(self):
        return frozenset({Capability.GENERATE})

    def load(self, request):
        if not self.can_load(request.reference):
            raise ModelNotFoundError(f"there is no model {request.reference!r}")
        return EchoModel(self.fault)


class EchoModel(Model):
    def __init__(self, fault=""):
        super().__init__(INFO, frozenset({Capability.GENERATE}))
        self.fault = fault

    def _open(self, params):
        if params.reproducible or params.on_context_full == "shift":
            raise UnsupportedError("echo promises nothing")
        return EchoSession(self, params, self.fault)


class EchoSession(Session):
    def __init__(self, model, params, fault=""):
        super().__init__(model, params)
        self.fault = fault
        self.count = 0
        self.begun = False

    @property
    def closed(self):
        return self._closed

    def _begin(self, request):
        if not isinstance(request, GenerateRequest):
            raise UnsupportedError("echo continues prompts and does nothing else")
        if request.prompt is None and not self.begun:
            raise ParamsError("prompt is None, but the session's history is empty")
        if isinstance(request.prompt, tuple):
            raise UnsupportedError("prompt must be text: echo has no tokens")
        self.begun = True
        return Begun(EchoGeneration(self, request.max_tokens))

    def _rewind(self, to):
        if to:
            raise UnsupportedError("echo forgets all or nothing")
        self.begun = False
        if self.fault != "reset":
            self.count = 0

    def _fork(self):
        forked = EchoSession(self._owner, self.params, self.fault)
        forked.begun, forked.count = self.begun, self.count + (self.fault == "fork")
        return forked

    def _close(self):
        pass


class EchoGeneration:
    carry = b""

    def __init__(self, session, max_tokens):
        self.session = session
        self.max_tokens = max_tokens
        self.interrupted = None
        self.report = None
        self.made = 0
        self.start = session.count
        self.lock = threading.Lock()

    @property
    def over(self):
        return self.report is not None or self.interrupted is not None

    def pull(self, max_wait):
        with self.lock:
            if self.session.closed:
                raise ClosedError("the session was closed")
            if self.interrupted is not None:
                return Delta(end=self.interrupted)
            if self.made == self.max_tokens:
                return Delta(end=StopReason.MAX_TOKENS)
            self.made += 1
            return Delta((Piece(None, f"{self.start + self.made} ".encode()),))

    async def apull(self, max_wait):
        import anyio.lowlevel

        await anyio.lowlevel.checkpoint()
        return self.pull(max_wait)

    def deliver(self, pieces):
        return not self.over

    def interrupt(self, reason):
        if self.interrupted is None:
            self.interrupted = reason

    def settle(self, reason, seen, carry=b""):
        if self.report is None:
            wrong = {"goes_on": -seen, "cancelled": int(reason is StopReason.CANCELLED)}
            self.session.count += seen + wrong.get(self.session.fault, 0)
            receipt = Receipt("echo", "1", None, False, "a service that promises nothing")
            timings = Timings(first_token_seconds=0.0, total_seconds=1.0)
            self.report = GenerationReport(Usage(completion_tokens=seen), timings, receipt)
        return self.report

    def counters(self):
        return 0, self.made, 0
