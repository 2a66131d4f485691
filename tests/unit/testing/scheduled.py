"""A backend over a library with a scheduler of its own, which takes and gives token ids."""

# The protocol says what its methods do.
# ruff: noqa: D101, D102

from __future__ import annotations

from headrace import (
    Capability,
    ContextFullError,
    ModelInfo,
    ModelNotFoundError,
    StopReason,
    UnsupportedError,
)
from headrace.protocols import Delta, GenerationReport, Model, Piece, SubmittingSession
from headrace.results import Receipt, Timings, Usage

INFO = ModelInfo("loom", "loom", "1", "none", "weaves letters", 256, 0)


class LoomBackend:
    name, version, protocol_version = "loom", "1", 2

    def can_load(self, reference):
        return reference.startswith("loom:")

    def capabilities(self):
        return frozenset({Capability.GENERATE, Capability.TOKENIZE})

    def load(self, request):
        if not self.can_load(request.reference):
            raise ModelNotFoundError(f"there is no model {request.reference!r}")
        return LoomModel(request.engine.n_ctx or 4096)


class LoomModel(Model):
    def __init__(self, width):
        capabilities = frozenset({Capability.GENERATE, Capability.TOKENIZE})
        super().__init__(INFO, capabilities)
        self.width = width

    def _open(self, params):
        if params.reproducible or params.on_context_full == "shift" or params.speculate:
            raise UnsupportedError("a loom promises nothing")
        return LoomSession(self, params)

    def _tokenize(self, text, *, add_special, parse_special):
        return list(text.encode())

    def _detokenize(self, tokens, *, special):
        return bytes(tokens)


class LoomSession(SubmittingSession):
    def _submit(self, tokens, request):
        if len(tokens) > self._model.width:
            raise ContextFullError(f"a loom of {self._model.width} threads is too narrow")
        return Thread(tokens, request.max_tokens, self._model.width)


class Thread:
    """Letters that follow from all those before."""

    carry = b""

    def __init__(self, tokens, most, width):
        self.interrupted = None
        self._line = list(tokens)
        self._left = most
        self._width = width
        self._made = 0
        self._report = None

    def pull(self, max_wait):
        if self.interrupted is not None:
            return Delta(end=self.interrupted)
        if self._left == 0:
            return Delta(end=StopReason.MAX_TOKENS)
        if len(self._line) > self._width:
            return Delta(end=StopReason.CONTEXT_FULL)
        token = 97 + sum(place * each for place, each in enumerate(self._line, 1)) % 26
        self._line.append(token)
        self._made += 1
        if self._left is not None:
            self._left -= 1
        return Delta((Piece(token, bytes([token])),))

    async def apull(self, max_wait):
        import anyio.lowlevel

        await anyio.lowlevel.checkpoint()
        return self.pull(max_wait)

    def deliver(self, pieces):
        return self.interrupted is None

    def interrupt(self, reason):
        self.interrupted = self.interrupted or reason

    def settle(self, reason, seen, carry=b""):
        if self._report is None:
            receipt = Receipt("loom", "1", None, False, "a loom promises nothing")
            timings = Timings(first_token_seconds=0.0, total_seconds=1.0)
            self._report = GenerationReport(Usage(completion_tokens=seen), timings, receipt)
        return self._report

    def counters(self):
        return 0, self._made, 0
