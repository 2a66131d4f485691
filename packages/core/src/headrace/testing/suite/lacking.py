"""What a model cannot do, it refuses with ``UnsupportedError``: a rule for each capability."""

from __future__ import annotations

from collections.abc import Callable

from headrace.errors import UnsupportedError
from headrace.grammar import Choice
from headrace.model import Model
from headrace.params import SamplingParams, SessionParams
from headrace.results import Capability
from headrace.session import Session
from headrace.testing.kit import Kit, closing_all, expect_error
from headrace.testing.rules import rule

_MODEL_CALLS: dict[Capability, tuple[str, Callable[[Model], object]]] = {
    Capability.TOKENIZE: ("model.tokenize", lambda model: model.tokenize("x")),
    Capability.EMBED: ("model.embed", lambda model: model.embed("x")),
    Capability.RERANK: ("model.rerank", lambda model: model.rerank("x", ["y"])),
    Capability.LORA: ("model.load_adapter", lambda model: model.load_adapter("x")),
    Capability.CONTROL_VECTORS: (
        "model.load_control_vector",
        lambda model: model.load_control_vector("x"),
    ),
    Capability.SHIFT: (
        "open_session(on_context_full='shift')",
        lambda model: model.open_session(SessionParams(on_context_full="shift")),
    ),
    Capability.REPRODUCIBLE: (
        "open_session(reproducible=True)",
        lambda model: model.open_session(SessionParams(reproducible=True)),
    ),
}
_SESSION_CALLS: dict[Capability, tuple[str, Callable[[Session], object]]] = {
    Capability.TOKENIZE: ("a prompt of token ids", lambda each: each.generate([1, 2, 3])),
    Capability.LOGPROBS: (
        "SamplingParams(logprobs=1)",
        lambda each: each.generate("x", sampling=SamplingParams(logprobs=1)),
    ),
    Capability.GRAMMAR: (
        "SamplingParams(grammar=…)",
        lambda each: each.generate("x", sampling=SamplingParams(grammar=Choice(["a", "b"]))),
    ),
    Capability.SCORE: ("session.score", lambda each: each.score("x")),
    Capability.INFILL: ("session.infill", lambda each: each.infill("x", "y")),
    Capability.STATE: ("session.state", lambda each: each.state()),
    Capability.CHAT: (
        "session.chat",
        lambda each: each.chat([{"role": "user", "content": "x"}]),
    ),
}


def _lacks(capability: Capability) -> None:
    @rule(
        f"lacking.{capability}",
        f"A model without the capability {capability} raises UnsupportedError for it.",
        lacking=capability,
    )
    def refused(kit: Kit) -> None:
        """See the sentence: it names the capability."""
        if capability in _MODEL_CALLS:
            what, call = _MODEL_CALLS[capability]
            expect_error(UnsupportedError, lambda: call(kit.model), what)
        if capability in _SESSION_CALLS:
            what, ask = _SESSION_CALLS[capability]
            session = kit.session()
            with closing_all(session):
                expect_error(UnsupportedError, lambda: ask(session), what)


for _capability in Capability:
    if _capability in _MODEL_CALLS or _capability in _SESSION_CALLS:
        _lacks(_capability)
