"""What the reader saw is what the session remembers; cutting and copying it."""

from __future__ import annotations

from headrace.errors import BusyError, ParamsError, UnsupportedError
from headrace.results import Capability
from headrace.testing.kit import Kit, NotApplicable, expect, expect_equal, expect_error
from headrace.testing.rules import rule
from headrace.testing.suite.properties import for_all

TOKENIZE = (Capability.TOKENIZE,)
EXACT = (Capability.TOKENIZE, Capability.REPRODUCIBLE)


@rule("history.order", needs=TOKENIZE)
def order(kit: Kit) -> None:
    """The history is prompt and completion, turn by turn."""
    model = kit.model
    with kit.session() as session:
        expect_equal(session.tokens, [], "history of a new session")
        first, second = kit.say(session, n=4), kit.say(session, " again", n=4)
        wanted = [*model.tokenize(kit.subject.prompt), *first.tokens]
        wanted += [*model.tokenize(" again", add_special=False), *second.tokens]
        expect_equal(session.tokens, wanted, "history of two turns")


@rule("history.copy", needs=TOKENIZE)
def copy(kit: Kit) -> None:
    """session.tokens is a copy."""
    with kit.session() as session:
        kit.say(session, n=2)
        before = list(session.tokens)
        session.tokens.clear()
        expect_equal(session.tokens, before, "history after its copy was cleared")


@rule("history.cancelled", needs=TOKENIZE)
def cancelled(kit: Kit) -> None:
    """After a cancel the history has what was read."""
    with kit.session() as session:
        with kit.stream(session) as stream:
            read = [token for _ in range(3) for token in next(stream).tokens]
        wanted = [*kit.model.tokenize(kit.subject.prompt), *read]
        expect_equal(session.tokens, wanted, "history")


@rule("history.stop_string", needs=TOKENIZE)
def stop_string(kit: Kit) -> None:
    """What only completed a stop string is forgotten."""
    with kit.session() as session, kit.session() as other:
        whole = kit.say(session, n=16)
        done = kit.say(other, n=16, stop=whole.text[3:6])
        wanted = [*kit.model.tokenize(kit.subject.prompt), *done.tokens]
        expect(len(done.tokens) < 16, f"the stop string {whole.text[3:6]!r} stopped nothing")
        expect_equal(other.tokens, wanted, "history")


@rule("history.going_on", needs=EXACT)
def going_on(kit: Kit) -> None:
    """Going on is the same as not stopping."""
    with kit.session(reproducible=True) as session:
        whole = kit.say(session, n=9).tokens
    with kit.session(reproducible=True) as session:
        parts = kit.say(session, n=4).tokens + kit.say(session, None, n=5).tokens
    expect_equal(parts, whole, "four tokens and five more")


@rule("history.empty")
def empty(kit: Kit) -> None:
    """Going on from an empty history is a ParamsError."""
    with kit.session() as session:
        expect_error(ParamsError, lambda: kit.stream(session, None), "generate(None)")


@rule("rewind.any_length", needs=EXACT)
def any_length(kit: Kit) -> None:
    """A session can be cut to any length, and then is what a new one with that history is."""
    from hypothesis import strategies as st

    @for_all(kit, keep=st.floats(0.01, 1.0))
    def check(keep: float) -> None:
        with kit.session(reproducible=True) as session, kit.session(reproducible=True) as fresh:
            kit.say(session, n=8)
            before = session.tokens
            length = max(1, int(keep * len(before)))
            session.rewind(to=length)
            expect_equal(session.tokens, before[:length], f"history cut to {length}")
            wanted = kit.say(fresh, before[:length], n=5).tokens
            # A prefill that was cut otherwise may differ in the last bits; the lengths may not.
            found = kit.say(session, None, n=5).tokens
            expect_equal(session.tokens, [*before[:length], *found], "history afterwards")
            expect_equal(len(found), len(wanted), "tokens afterwards")


@rule("rewind.same_again", needs=EXACT)
def same_again(kit: Kit) -> None:
    """After a rewind the same call gives the same tokens."""
    with kit.session(reproducible=True) as session:
        kit.say(session, n=6)
        there = len(session.tokens)
        first = kit.say(session, " and then", n=6).tokens
        session.rewind(to=there)
        expect_equal(kit.say(session, " and then", n=6).tokens, first, "tokens the second time")


@rule("rewind.range", needs=TOKENIZE)
def rewind_range(kit: Kit) -> None:
    """Rewinding beyond the history is a ParamsError."""
    with kit.session() as session:
        kit.say(session, n=3)
        before = session.tokens
        for to in (-1, len(before) + 1, 10**9, 1.5, None, True):
            expect_error(
                ParamsError,
                lambda to=to: session.rewind(to=to),  # type: ignore[misc]
                f"rewind(to={to})",
            )
        expect_equal(session.tokens, before, "history")


@rule("rewind.busy", needs=TOKENIZE)
def busy(kit: Kit) -> None:
    """A session that generates is neither cut nor copied."""
    with kit.session() as session, kit.stream(session) as stream:
        next(stream)
        expect_error(BusyError, lambda: session.rewind(to=0), "rewind")
        expect_error(BusyError, session.reset, "reset")
        expect_error(BusyError, session.fork, "fork")


@rule("reset.like_new")
def reset(kit: Kit) -> None:
    """A reset session is like a new one."""
    with kit.session() as session:
        kit.say(session, n=5)
        try:
            session.reset()
        except UnsupportedError as error:
            raise NotApplicable(f"its sessions cannot be reset: {error}") from error
        if Capability.TOKENIZE in kit.model.capabilities:
            expect_equal(session.tokens, [], "history")
        expect_error(ParamsError, lambda: kit.stream(session, None), "generate(None)")
        expect(kit.say(session, n=2).text, "nothing was written afterwards")


@rule("fork.own_way")
def own_way(kit: Kit) -> None:
    """A fork has the same history and goes its own way."""
    tokens = Capability.TOKENIZE in kit.model.capabilities
    with kit.session() as session:
        kit.say(session, n=5)
        try:
            forked = session.fork()
        except UnsupportedError as error:
            raise NotApplicable(f"its sessions cannot be forked: {error}") from error
        with forked:
            before = session.tokens if tokens else []
            if tokens:
                expect_equal(forked.tokens, before, "history of the fork")
            expect(kit.say(forked, " cats", n=4).text, "the fork wrote nothing")
            if tokens:
                expect_equal(session.tokens, before, "history of the original")
        expect(kit.say(session, " dogs", n=4).text, "the original wrote nothing")


@rule("fork.same", needs=EXACT)
def fork_same(kit: Kit) -> None:
    """A fork writes what the original writes."""
    with kit.session(reproducible=True) as session:
        kit.say(session, n=5)
        with session.fork() as forked:
            wanted = kit.say(session, " on", n=6).tokens
            expect_equal(kit.say(forked, " on", n=6).tokens, wanted, "tokens of the fork")


@rule("history.any_walk", needs=TOKENIZE)
def any_walk(kit: Kit) -> None:
    """Whatever is done in whatever order, the history is what was given and seen."""
    from hypothesis import strategies as st

    step = st.one_of(
        st.tuples(st.just("say"), st.integers(0, 4)),
        st.tuples(st.just("cancel"), st.integers(1, 3)),
        st.tuples(st.just("rewind"), st.integers(0, 30)),
        st.tuples(st.just("fork"), st.just(0)),
        st.tuples(st.just("reset"), st.just(0)),
    )

    @for_all(kit, steps=st.lists(step, min_size=1, max_size=6))
    def check(steps: list[tuple[str, int]]) -> None:
        session = kit.session()
        known: list[int] = []
        opened = [session]
        try:
            for what, n in steps:
                if what in ("say", "cancel"):
                    known += kit.model.tokenize(" word", add_special=not known)
                    with kit.stream(session, " word", n=n if what == "say" else None) as stream:
                        chunks = stream if what == "say" else (next(stream) for _ in range(n))
                        for chunk in chunks:
                            known += chunk.tokens
                elif what == "rewind":
                    known = known[: min(n, len(known))]
                    session.rewind(to=len(known))
                elif what == "fork":
                    session = session.fork()
                    opened.append(session)
                else:
                    known = []
                    session.reset()
                expect_equal(session.tokens, known, f"history after {what} {n} of {steps}")
        finally:
            for each in opened:
                each.close()
