"""The rules of histories for sessions that send text without tokens."""

from __future__ import annotations

from headrace.errors import UnsupportedError
from headrace.results import Capability
from headrace.session import Session
from headrace.testing.kit import Kit, NotApplicable, expect, expect_equal
from headrace.testing.rules import rule

TEXT = Capability.TOKENIZE
"""Lacking it, a model's sessions have no tokens to be looked at."""
_N = 12


def _whole(kit: Kit) -> str:
    """What is written greedily; the rules are about backends that write it again."""
    texts = []
    for _ in range(2):
        with kit.session() as session:
            texts.append(kit.say(session, n=_N).text)
    if texts[0] != texts[1]:
        raise NotApplicable("its sessions do not write the same again")
    return texts[0]


def _goes_on(kit: Kit, session: Session, n: int) -> str:
    try:
        return kit.say(session, None, n=n).text
    except UnsupportedError as error:
        raise NotApplicable(f"its sessions do not go on without a prompt: {error}") from error


@rule("text.goes_on", lacking=TEXT)
def goes_on(kit: Kit) -> None:
    """Going on is the same as not stopping."""
    whole = _whole(kit)
    with kit.session() as session:
        parts = [kit.say(session, n=4).text, _goes_on(kit, session, _N - 4)]
    expect_equal("".join(parts), whole, "four tokens and more")


@rule("text.cancelled", lacking=TEXT)
def cancelled(kit: Kit) -> None:
    """After a cancel the history has what was read."""
    whole = _whole(kit)
    with kit.session() as session:
        with kit.stream(session) as stream:
            read = "".join(next(stream).text for _ in range(3))
        rest = _goes_on(kit, session, 4)
    expect(rest, "nothing was written after the cancel")
    expect((read + rest)[: len(whole)] == whole[: len(read + rest)], f"{read!r}, then {rest!r}")


@rule("text.reset", lacking=TEXT)
def reset(kit: Kit) -> None:
    """A reset session writes what a new one writes."""
    whole = _whole(kit)
    with kit.session() as session:
        kit.say(session, "Something else", n=5)
        try:
            session.reset()
        except UnsupportedError as error:
            raise NotApplicable(f"its sessions cannot be reset: {error}") from error
        expect_equal(kit.say(session, n=_N).text, whole, "text after a reset")


@rule("text.fork", lacking=TEXT)
def fork(kit: Kit) -> None:
    """A fork writes what the original writes, and leaves it as it is."""
    whole = _whole(kit)
    with kit.session() as session:
        begun = kit.say(session, n=4).text
        try:
            forked = session.fork()
        except UnsupportedError as error:
            raise NotApplicable(f"its sessions cannot be forked: {error}") from error
        with forked:
            expect_equal(begun + _goes_on(kit, forked, _N - 4), whole, "text of the fork")
        expect_equal(begun + _goes_on(kit, session, _N - 4), whole, "text of the original")
