"""A reproducible session writes what it would write alone, whatever others do to memory."""

from __future__ import annotations

import random

import pytest

from headrace import SamplingParams, SessionParams

ALONE = SessionParams(reproducible=True)
SEEDS = range(12)


def turn(session, seed, number):
    """The tokens of one turn, drawn with that seed."""
    drawn = SamplingParams(seed=seed, temperature=1.0)
    done = session.complete(f"turn {number} of {seed}, " * 3, sampling=drawn, max_tokens=20)
    assert done.receipt.reproducible, done.receipt.reason
    return done.tokens


def lone_turns(target, seeds, count, **engine):
    """For each seed the tokens of so many turns, of sessions that are alone on their engine."""
    found = {}
    with target.load(n_ctx=1024, n_sequences=1, **engine) as model:
        for seed in seeds:
            with model.open_session(ALONE) as session:
                found[seed] = [turn(session, seed, number) for number in range(count)]
    return found


ENGINE = {"n_ctx": 1024, "n_sequences": 3}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_neighbour_that_goes_between_two_turns_changes_nothing(target, n_threads):
    """Its cells are free again, and the tokens that come next are not put there."""
    seeds = SEEDS if n_threads == 1 else SEEDS[:4]  # which are slow beside other programs
    alone = lone_turns(target, seeds, 2, n_threads=n_threads)
    with target.load(**ENGINE, n_threads=n_threads) as model:
        for seed in seeds:
            neighbour = model.open_session()
            neighbour.complete("a neighbour", sampling=SamplingParams(seed=seed), max_tokens=150)
            with model.open_session(ALONE) as session:
                first = turn(session, seed, 0)
                neighbour.close()
                assert [first, turn(session, seed, 1)] == alone[seed]


def test_neighbours_that_do_anything_change_nothing(target):
    """They come, go on, rewind, fork, have texts scored, save and load, and go."""
    seeds, turns = SEEDS[:4], 5
    alone = lone_turns(target, seeds, turns)
    with target.load(**ENGINE) as model:
        for seed in seeds:
            chance = random.Random(seed)
            neighbours = [model.open_session() for _ in range(2)]
            with model.open_session(ALONE) as session:
                for number in range(turns):
                    for _ in range(3):
                        disturb(chance, model, neighbours)
                    assert turn(session, seed, number) == alone[seed][number]
            for neighbour in neighbours:
                neighbour.close()


def disturb(chance, model, neighbours):
    """One thing that plain sessions may do."""
    at = chance.randrange(len(neighbours))
    neighbour = neighbours[at]
    what = chance.randrange(6)
    if what == 0 or len(neighbour.tokens) > 500:
        neighbour.close()
        neighbours[at] = model.open_session()
    elif what == 1:
        neighbour.rewind(to=chance.randint(0, len(neighbour.tokens)))
    elif what == 2:
        neighbours.append(neighbour.fork())
        if len(neighbours) > 4:
            neighbours.pop(0).close()
    elif what == 3:
        neighbour.score("a text that is scored")
    elif what == 4:
        neighbours[0].load_state(neighbour.state())
    else:
        neighbour.complete("go on", max_tokens=chance.randint(1, 120))


def test_reproducible_sessions_that_take_turns_change_nothing(target):
    """There is one place for all of them: what makes way comes back as it was."""
    seeds, turns = SEEDS[:3], 3
    alone = lone_turns(target, seeds, turns)
    with target.load(**ENGINE) as model:
        sessions = {seed: model.open_session(ALONE) for seed in seeds}
        for number in range(turns):
            for seed, session in sessions.items():
                assert turn(session, seed, number) == alone[seed][number]


def test_a_state_goes_on_as_the_session_would(target):
    """Saved beside one neighbour and loaded beside another."""
    seeds = SEEDS[:4]
    alone = lone_turns(target, seeds, 2)
    with target.load(**ENGINE) as model:
        for seed in seeds:
            with model.open_session() as other, model.open_session(ALONE) as session:
                other.complete("a neighbour", max_tokens=100)
                assert turn(session, seed, 0) == alone[seed][0]
                state = session.state()
            with model.open_session() as other, model.open_session(ALONE) as session:
                other.complete("another", max_tokens=60)
                session.load_state(state)
                assert turn(session, seed, 1) == alone[seed][1]


def test_a_rewind_goes_back_to_what_was(target):
    """Also beyond a window, and after others have taken the place."""
    alone = lone_turns(target, SEEDS[:3], 4)
    with target.load(**ENGINE) as model:
        for seed in SEEDS[:3]:
            with model.open_session(ALONE) as session, model.open_session(ALONE) as other:
                turn(session, seed, 0)
                there = len(session.tokens)
                for number in (1, 2):
                    turn(session, seed, number)
                turn(other, seed, 7)
                session.rewind(to=there)
                assert [turn(session, seed, n) for n in (1, 2, 3)] == alone[seed][1:]
