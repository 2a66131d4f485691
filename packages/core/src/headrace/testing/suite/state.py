"""Saved sessions."""

from __future__ import annotations

import io

from headrace.errors import StateError
from headrace.results import Capability
from headrace.testing.kit import Kit, Violation, expect, expect_equal
from headrace.testing.rules import rule
from headrace.testing.suite.properties import for_all

STATE = (Capability.STATE, Capability.TOKENIZE)


@rule("state.goes_on", needs=STATE)
def goes_on(kit: Kit) -> None:
    """A loaded session goes on as the saved one does."""
    with kit.session(reproducible=True) as session, kit.session(reproducible=True) as other:
        kit.say(session, n=8)
        data = session.state()
        expect(isinstance(data, bytes), f"state() returned {type(data).__name__}")
        wanted = kit.say(session, " on", n=8).tokens
        other.load_state(data)
        expect_equal(kit.say(other, " on", n=8).tokens, wanted, "tokens after the load")
        expect_equal(other.tokens, session.tokens, "history")


@rule("state.files", needs=STATE)
def files(kit: Kit) -> None:
    """A state goes through a file."""
    with kit.session() as session, kit.session() as other:
        kit.say(session, n=4)
        file = io.BytesIO()
        session.save_state(file)
        file.seek(0)
        other.load_state(file)
        expect_equal(other.tokens, session.tokens, "history")


@rule("state.saving_changes_nothing", needs=STATE)
def saving(kit: Kit) -> None:
    """Saving leaves a session as it is."""
    with kit.session(reproducible=True) as saved, kit.session(reproducible=True) as left:
        kit.say(saved, n=5)
        kit.say(left, n=5)
        saved.state()
        expect_equal(saved.tokens, left.tokens, "history")
        expect_equal(
            kit.say(saved, None, n=5).tokens, kit.say(left, None, n=5).tokens, "what follows"
        )


@rule("state.damaged", needs=STATE)
def damaged(kit: Kit) -> None:
    """A damaged state is a StateError, and the session as before."""
    from hypothesis import strategies as st

    with kit.session() as session:
        kit.say(session, n=4)
        data = session.state()
        before = session.tokens

        @for_all(kit, at=st.floats(0, 0.999), flip=st.integers(1, 255), cut=st.booleans())
        def check(at: float, flip: int, cut: bool) -> None:
            place = int(at * len(data))
            changed = bytes([data[place] ^ flip]) + data[place + 1 :]
            try:
                session.load_state(data[:place] if cut else data[:place] + changed)
            except StateError:
                expect_equal(session.tokens, before, "history after a refused load")
                return
            except Exception as error:
                raise Violation(f"it raised {type(error).__name__}: {error}") from error
            raise Violation(f"a state damaged at byte {place} of {len(data)} was loaded")

        expect(kit.say(session, None, n=2).text, "nothing was written afterwards")
