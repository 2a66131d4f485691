"""A backend of tier 1 that knows nothing but text, as a remote service would."""

# The protocol says what its methods do.
# ruff: noqa: D101, D102

from __future__ import annotations

import threading

from headrace import (
    BusyError,
    Capability,
    ClosedError,
    ModelInfo,
    ModelNotFoundError,
    ParamsError,
    StopReason,
    TokenStream,
    UnsupportedError,
)
from headrace.bases import ModelBase, SessionBase
from headrace.protocols import Delta, GenerationReport, Piece
from headrace.requests.checks import check_generation, check_text
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

    name, version, protocol_version = "echo", "1", 1

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


class EchoModel(ModelBase):
    info = INFO
    capabilities = frozenset({Capability.GENERATE})

    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault
        self.sessions = []
        self.closed = False

    def open_session(self, params=None):
        self._check_process()
        if self.closed:
            raise ClosedError("the model was closed")
        if params is not None and (params.reproducible or params.on_context_full == "shift"):
            raise UnsupportedError("echo promises nothing")
        session = EchoSession(self.fault)
        self.sessions.append(session)
        return session

    def close(self):
        if self._in_own_process():
            self.closed = True
            for session in self.sessions:
                session.close()


class EchoSession(SessionBase):
    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault
        self.count = 0
        self.begun = False
        self.closed = False
        self.running = None

    def generate(
        self, prompt, *, sampling=None, max_tokens=None, stop=(), ignore_eog=False, timeout=None
    ):
        self._check_process()
        stops = check_generation(sampling, max_tokens, stop, ignore_eog, timeout)
        if self.closed:
            raise ClosedError("the session was closed")
        if sampling is not None and (sampling.logprobs is not None or sampling.grammar):
            raise UnsupportedError("echo has neither logprobs nor grammars")
        if prompt is None and not self.begun:
            raise ParamsError("prompt is None, but the session's history is empty")
        if isinstance(prompt, (list, tuple)) and prompt:
            raise UnsupportedError("prompt must be text: echo has no tokens")
        if prompt is not None:
            if not prompt:
                raise ParamsError(f"prompt must not be empty, got {prompt!r}")
            if not isinstance(prompt, str):
                raise ParamsError(f"prompt must be text, got {prompt!r}")
            check_text("prompt", prompt)
        if self.running is not None and not self.running.over:
            raise BusyError("a generation is under way", hint="End it with stream.cancel().")
        self.begun = True
        self.running = EchoGeneration(self, max_tokens)
        return TokenStream(self.running, stop=stops, timeout=timeout, owner=self)

    def reset(self):
        self.begun = False
        if self.fault != "reset":
            self.count = 0

    def fork(self):
        forked = EchoSession(self.fault)
        forked.begun, forked.count = self.begun, self.count + (self.fault == "fork")
        return forked

    def close(self):
        if self._in_own_process():
            self.closed = True


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
