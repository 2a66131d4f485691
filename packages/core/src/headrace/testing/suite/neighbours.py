"""Streams beside each other: what one gives does not depend on who else is computed with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.errors import UnsupportedError
from headrace.model import Model
from headrace.params import SamplingParams
from headrace.results import Completion
from headrace.session import Session
from headrace.streams.tokens import TokenStream
from headrace.testing.kit import Kit, NotApplicable
from headrace.testing.rules import rule
from headrace.testing.suite.likeness import expect_alike, most_alike, told_sampling

_WORDS = ("cats", "a dog", "in winter", "x y z")

Open = Callable[[int, Session, int], TokenStream]
"""Begins the generation of a number in a session, of so many tokens."""


def _prompt(kit: Kit, number: int) -> str:
    return f"{kit.subject.prompt} {_WORDS[number]}"


def _greedy(kit: Kit) -> Open:
    def begin(number: int, session: Session, n: int) -> TokenStream:
        prompt = _prompt(kit, number)
        return kit.stream(session, prompt, n=n, sampling=told_sampling(kit))

    return begin


def _drawing(kit: Kit, **more: Any) -> Open:
    def begin(number: int, session: Session, n: int) -> TokenStream:
        sampling = SamplingParams(
            temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=number, **more
        )
        return kit.stream(session, _prompt(kit, number), n=n, sampling=sampling)

    return begin


def _alone(model: Model, begin: Open, n: int) -> list[Completion]:
    done = []
    for number in range(len(_WORDS)):
        with model.open_session() as session:
            stream = begin(number, session, n)
            list(stream)
            done.append(stream.result)
    return done


def _together(model: Model, begin: Open, n: int) -> list[Completion]:
    """The same in turns, so that one step computes for all of them."""
    sessions = [model.open_session() for _ in _WORDS]
    streams = [begin(number, session, n) for number, session in enumerate(sessions)]
    reading = list(streams)
    while reading:
        reading = [stream for stream in reading if next(stream, None) is not None]
    for session in sessions:
        session.close()
    return [stream.result for stream in streams]


@rule("neighbours.alone")
def alone(kit: Kit) -> None:
    """Streams that share their steps each give what they give alone."""
    with kit.load(n_sequences=len(_WORDS)) as model:
        wanted = _alone(model, _greedy(kit), 16)
        found = _together(model, _greedy(kit), 16)
    kit.note("different texts", len({each.text for each in wanted}))
    for word, one, other in zip(_WORDS, found, wanted, strict=True):
        expect_alike(kit, one, other, f"the stream about {word!r}")


@rule("neighbours.drawn")
def drawn(kit: Kit) -> None:
    """So do streams that are drawn, each with its own seed."""
    _expect_drawn(kit)


@rule("neighbours.penalties")
def penalties(kit: Kit) -> None:
    """A repeat penalty looks at the tokens of its own stream."""
    try:
        _expect_drawn(kit, repeat_penalty=1.5)
    except UnsupportedError as error:
        raise NotApplicable(f"it has no repeat penalty: {error}") from error


def _expect_drawn(kit: Kit, **more: Any) -> None:
    begin = _drawing(kit, **more)
    with kit.load(n_sequences=len(_WORDS)) as model:
        wanted = _alone(model, begin, 12)
        if any(each.receipt.seed is None for each in wanted):
            raise NotApplicable("its generations have no seed")
        found = _together(model, begin, 12)
    most_alike(
        kit, [each.text for each in found], [each.text for each in wanted], "streams of seeds"
    )


@rule("neighbours.departed")
def departed(kit: Kit) -> None:
    """A session where others were before gives what it gives in a new model."""
    begin = _greedy(kit)
    with kit.load(n_sequences=2) as model:
        wanted = _alone(model, begin, 12)
    with kit.load(n_sequences=2) as model:
        for number in range(len(_WORDS)):
            with model.open_session() as session:
                kit.say(session, f"{number} somebody else was here", n=20)
        found = _alone(model, begin, 12)
    for word, one, other in zip(_WORDS, found, wanted, strict=True):
        expect_alike(kit, one, other, f"the stream about {word!r} where others were")
