"""Cutting, copying, shifting and saving: what follows is what follows in a new memory.

These look at ordinary sessions, whose memory a library really cuts and copies; reproducible ones
may have it computed again.
"""

from __future__ import annotations

from headrace.errors import UnsupportedError
from headrace.params import SamplingParams, SessionParams
from headrace.results import Capability, Completion
from headrace.session import Session
from headrace.testing.kit import Kit, NotApplicable, expect, expect_equal
from headrace.testing.rules import rule
from headrace.testing.suite.likeness import expect_alike, told

TOKENIZE = (Capability.TOKENIZE,)


def _fresh(kit: Kit, history: list[int], n: int = 8) -> Completion:
    """What follows a history in a model that has seen nothing else."""
    with kit.load() as model, model.open_session() as session:
        return told(kit, session, history, n=n)


@rule("rewind.as_new", needs=TOKENIZE)
def rewind_as_new(kit: Kit) -> None:
    """What follows a rewind is what follows that history in a new model."""
    for back in (1, 3, 7):
        with kit.session() as session:
            kit.say(session, n=8)
            session.rewind(to=len(session.tokens) - back)
            more = kit.model.tokenize(" and then", add_special=False)
            history = [*session.tokens, *more]
            found = told(kit, session, more, n=8)
            expect_equal(session.tokens, [*history, *found.tokens], f"history cut by {back}")
        expect_alike(kit, found, _fresh(kit, history), f"what follows after a rewind by {back}")


@rule("fork.as_new", needs=TOKENIZE)
def fork_as_new(kit: Kit) -> None:
    """What a fork writes is what follows its history in a new model, the original's too."""
    with kit.session() as session:
        kit.say(session, n=8)
        try:
            forked = session.fork()
        except UnsupportedError as error:
            raise NotApplicable(f"its sessions cannot be forked: {error}") from error
        with forked:
            _expect_as_new(kit, forked, "the fork")
        _expect_as_new(kit, session, "the original")


def _expect_as_new(kit: Kit, session: Session, whose: str) -> None:
    more = kit.model.tokenize(" cats", add_special=False)
    history = [*session.tokens, *more]
    found = told(kit, session, more, n=8)
    expect_alike(kit, found, _fresh(kit, history), f"what {whose} writes")


@rule("history.order_matters", needs=TOKENIZE)
def order_matters(kit: Kit) -> None:
    """Where a token stands in the history matters: other orders write something else."""
    tokens = kit.model.tokenize(kit.subject.prompt + " one two", add_special=False)
    written = set()
    for at in range(min(6, len(tokens))):
        with kit.session() as session:
            turned = [*tokens[at:], *tokens[:at]]
            sampling = SamplingParams(temperature=0.0, logprobs=_tells(kit))
            done = kit.say(session, turned, n=6, sampling=sampling)
            written.add((done.text, tuple(round(each.logprob, 2) for each in done.logprobs)))
    expect(len(written) > 1, f"six orders of the same tokens all wrote {done.text!r}")


def _tells(kit: Kit) -> int | None:
    return 0 if Capability.LOGPROBS in kit.model.capabilities else None


@rule("shift.as_new", needs=[*TOKENIZE, Capability.SHIFT], endless=True)
def shift_as_new(kit: Kit) -> None:
    """After a shift a session goes on from its history: exactly, or as the library can."""
    with kit.load(n_ctx=256) as model:
        session = model.open_session(SessionParams(on_context_full="shift", keep=4))
        kit.say(session, n=300)
        history = session.tokens
        found = told(kit, session, None, n=6)
        expect_equal(session.tokens[-6:], list(found.tokens), "the end of the history")
    if kit.subject.shifts_exactly:
        expect_alike(kit, found, _fresh(kit, history, 6), "what follows after shifts")


@rule("state.new_model", needs=[*TOKENIZE, Capability.STATE])
def new_model(kit: Kit) -> None:
    """A state goes on in a model that was loaded anew as it would have without saving."""
    with kit.session() as session:
        kit.say(session, n=12)
        data = session.state()
        wanted = told(kit, session, " on")
        history = session.tokens
    with kit.load() as model, model.open_session() as other:
        other.load_state(data)
        found = told(kit, other, " on")
        expect_alike(kit, found, wanted, "what follows in a new model")
        if found.tokens == wanted.tokens:
            expect_equal(other.tokens, history, "history")
