"""Many who begin at once with the same tokens: one computes them, the others take them over."""

from __future__ import annotations

import pytest

from headrace import SessionParams

PREFIX = "The same long beginning of every conversation, some sixty bytes."


@pytest.fixture
def counting(fake):
    """Makes a fake, and the list of what the rows of its steps had to compute."""

    def make(**options):
        computed: list[list[int]] = []
        engine = fake(
            engine={"n_sequences": 8, **options.pop("engine", {})},
            on_step=lambda _, rows: computed.append([len(row.tokens) for row in rows]),
            **options,
        )
        return engine, computed

    return make


def ask(engine, prompts):
    """Begin for all of them, then read each to its end."""
    streams = [engine.stream(prompt, max_tokens=3) for prompt in prompts]
    return [stream.read() for stream in streams]


@pytest.mark.parametrize("kind", ["any", "recent"])
def test_a_common_beginning_is_computed_once(counting, kind):
    """Each has the tokens it has alone, and is told what it did not have to compute."""
    prompts = [f"{PREFIX}{number} is the number" for number in range(5)]
    engine, computed = counting(truncation=kind)
    n_prefix = len(engine.model.tokenize(PREFIX))
    done = ask(engine, prompts)
    apart = [counting()[0].tokens(prompt, max_tokens=3) for prompt in prompts]
    assert [each.tokens for each in done] == apart
    n_own = sum(len(engine.model.tokenize(prompt)) - n_prefix for prompt in prompts)
    assert sum(map(sum, computed)) <= n_prefix + n_own + 5 * 3
    assert sorted(each.usage.cached_tokens for each in done) == [0, *[n_prefix] * 4]


def test_the_same_prompt_many_times_is_computed_once(counting):
    """But for its last token, which each needs the next one of."""
    engine, computed = counting()
    done = ask(engine, [PREFIX] * 6)
    assert len({each.tokens for each in done}) == 1
    n_prompt = len(engine.model.tokenize(PREFIX))
    assert sum(map(sum, computed)) <= n_prompt + 6 * 4


def test_beginnings_of_several_lengths_in_common(counting):
    """A tree of them: each branch is computed once, or not much more often."""
    engine, computed = counting()
    branches = [PREFIX + "a" * 40, PREFIX + "b" * 40]
    prompts = [f"{branch}{number}" for number in range(3) for branch in branches]
    done = ask(engine, prompts)
    apart = [counting()[0].tokens(prompt, max_tokens=3) for prompt in prompts]
    assert [each.tokens for each in done] == apart
    assert sum(map(sum, computed)) <= len(PREFIX) + 80 + 6 * 8 + 16


def test_nobody_waits_for_one_who_leaves(counting):
    """The next one computes it."""
    engine, _ = counting(engine={"n_batch": 16})
    first, second = (engine.stream(PREFIX + name, max_tokens=3) for name in "ab")
    expected = counting()[0].tokens(PREFIX + "b", max_tokens=3)
    assert second.statistics().steps == 0
    first.cancel()
    assert second.read().tokens == expected


def test_short_and_different_beginnings_go_together(counting):
    """Nothing would be gained by waiting."""
    engine, computed = counting()
    streams = [engine.stream(prompt, max_tokens=3) for prompt in ("ab", "ac", "d")]
    next(streams[0])
    assert len(computed[0]) == 3
    assert all(len(stream.read().tokens) == 3 for stream in streams)


@pytest.mark.parametrize("how", ["reproducible", "recurrent", "no copies"])
def test_where_memory_cannot_be_taken_over_everybody_computes_it(counting, how):
    """At once, as ever."""
    options = {
        "reproducible": {},
        "recurrent": {"truncation": "none"},
        "no copies": {"can_copy": False},
    }[how]
    engine, computed = counting(**options)
    params = SessionParams(reproducible=how == "reproducible")
    streams = [
        engine.model.open_session(params).generate(PREFIX + name, max_tokens=3, ignore_eog=True)
        for name in "ab"
    ]
    assert all(len(stream.read().tokens) == 3 for stream in streams)
    assert sum(map(sum, computed)) >= 2 * len(PREFIX)
