"""What is proposed, and by whom it may be proposed."""

from __future__ import annotations

import contextlib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import DraftModel, ParamsError, PromptLookup, SessionParams, UnsupportedError
from headrace.engine.draft_model import check_same_vocabulary
from headrace.engine.drafters import LookupDrafter
from tests.unit.engine.conftest import GREEDY
from tests.unit.engine.test_interrupted_driver import InterruptAt


def looked_up(params, line, limit):
    """The same without an index: the last place at which the line's end came up before."""
    for length in range(params.ngram, params.min_ngram - 1, -1):
        for end in range(len(line) - 1, length - 1, -1):
            if len(line) > length and line[end - length : end] == line[-length:]:
                followed = line[end:]
                return [followed[i % len(followed)] for i in range(limit)]
    return []


TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@given(
    changes=st.lists(st.tuples(st.integers(0, 14), TOKENS), min_size=1, max_size=8),
    ngrams=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    limit=st.integers(1, 6),
)
def test_what_is_looked_up_is_what_followed_last(changes, ngrams, limit):
    """However the line was cut and went on in between, by one token or many."""
    params = PromptLookup(ngram=max(ngrams), min_ngram=min(ngrams))
    drafter, line = LookupDrafter(params), []
    for cut, more in changes:
        line = line[: max(0, len(line) - cut)] + more
        found = drafter.propose(list(line), limit, lambda: False, None)
        assert list(found) == looked_up(params, line, limit)
        if len(line) > 1:  # a rewind by one token, without anything new
            found = drafter.propose(line[:-1], limit, lambda: False, None)
            assert list(found) == looked_up(params, line[:-1], limit)


@pytest.mark.parametrize(
    ("asked", "needed", "free"),
    [
        ({}, 16, 2),
        ({"ngram": 5}, 2, 2),
        ({"ngram": 1}, 1, 1),
        ({"min_ngram": 4}, 4, 4),
        ({"ngram": 9, "min_ngram": 7}, 7, 7),
    ],
)
def test_how_much_has_to_be_in_common(asked, needed, free):
    """Much, unless the caller says otherwise, or calls are filled up anyway."""
    params = PromptLookup(**asked)
    for least, drafter in (
        (needed, LookupDrafter(params)),
        (free, LookupDrafter(params, free=True)),
    ):
        for common in range(1, 20):
            line = [*range(100, 100 + common), 7, 8, *range(100, 100 + common)]
            found = drafter.propose(line, 1, lambda: False, None)
            assert list(found) == ([7] if common >= least else [])


def test_the_most_in_common_must_not_be_less_than_the_least():
    """One that is not given has no part in it."""
    assert PromptLookup(ngram=1).min_ngram is None
    with pytest.raises(ParamsError, match=r"min_ngram must be at most ngram=3, got 4"):
        PromptLookup(ngram=3, min_ngram=4)


def test_an_interrupted_index_is_made_anew():
    """At any bytecode; what it noted of a longer line is not offered for a shorter one."""
    params = PromptLookup(ngram=2, min_ngram=1)
    long, short = [1, 2, 3, 1, 2, 3, 1, 2], [1, 2, 1]

    def run(position):
        drafter = LookupDrafter(params)
        drafter.propose([1, 2], 3, lambda: False, None)
        interrupter = InterruptAt(position)
        with contextlib.suppress(KeyboardInterrupt), interrupter:
            drafter.propose(list(long), 3, lambda: False, None)
        for line in (short, long):
            found = list(drafter.propose(list(line), 3, lambda: False, None))
            assert found == looked_up(params, line, 3), position
        return interrupter.fired

    run(10**9)  # Python 3.12 sees bytecodes only in code that was traced before
    position = 0
    while run(position):
        position += 1
    assert position > 10


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        (PromptLookup, "ngram", (0, 17, True, "3")),
        (PromptLookup, "min_ngram", (0, 17, 1.5)),
        (PromptLookup, "max_draft", (0, 32, None)),
        (DraftModel, "max_draft", (0, 32)),
        (DraftModel, "min_probability", (-0.1, 1.1, float("nan"), "high")),
        (DraftModel, "model", ("small.gguf", None)),
    ],
)
def test_a_bad_setting_is_named(fake, kind, field, values):
    """With what is allowed."""
    others = {} if kind is PromptLookup or field == "model" else {"model": fake().model}
    for value in values:
        with pytest.raises(ParamsError, match=f"{kind.__name__}.{field} must be"):
            kind(**others, **{field: value})
    with pytest.raises(ParamsError, match="no parameter"):
        kind(**others, ngrams=3)
    with pytest.raises(ParamsError, match="a PromptLookup, a DraftModel or None"):
        SessionParams(speculate=kind)


def test_a_model_with_another_vocabulary_does_not_draft(fake):
    """What differs is said: how many tokens, which are special, what one of them means."""
    engine = fake()
    info, pieces = engine.model.info, engine.model._model.vocabulary

    class Vocabulary:
        def piece(self, token):
            return b"?" if token == 65 else pieces.piece(token)

    check_same_vocabulary((info, pieces), (info, pieces))
    other = attrs.evolve(info, name="small", n_vocab=info.n_vocab + 1)
    with pytest.raises(ParamsError, match=f"{info.n_vocab + 1} tokens instead of") as caught:
        check_same_vocabulary((info, pieces), (other, pieces))
    assert "'small'" in str(caught.value)
    other = attrs.evolve(info, special_tokens={**info.special_tokens, "bos": 7})
    with pytest.raises(ParamsError, match="special tokens"):
        check_same_vocabulary((info, pieces), (other, pieces))
    with pytest.raises(ParamsError, match=r"b'\?' instead of .* as token 65"):
        check_same_vocabulary((info, pieces), (info, Vocabulary()))


def test_a_recurrent_model_does_not_draft(fake):
    """Its memory would have to be rebuilt after every draft."""
    engine, small = fake(), fake(truncation="none", can_copy=False)
    params = SessionParams(speculate=DraftModel(model=small.model))
    with pytest.raises(UnsupportedError, match="cannot forget") as caught:
        engine.model.open_session(params)
    assert "PromptLookup" in caught.value.hint


def test_a_model_that_is_not_run_by_the_engine_does_not_draft(fake):
    """With what to do."""

    class Foreign:
        def open_session(self):
            """Makes it look like a model."""

    with pytest.raises(UnsupportedError, match="not run by headrace's engine"):
        fake().model.open_session(SessionParams(speculate=DraftModel(model=Foreign())))


@pytest.mark.parametrize(("least", "proposes"), [(0.0, True), (0.5, True), (0.51, False)])
def test_what_the_small_model_is_not_sure_of_is_not_proposed(fake, least, proposes):
    """The fake gives its choice one half."""
    engine = fake(seed=3)
    draft = DraftModel(model=engine.model, max_draft=4, min_probability=least)
    with engine.model.open_session(SessionParams(speculate=draft)) as session:
        found = session.complete("text", sampling=GREEDY, max_tokens=12, ignore_eog=True)
    assert found.tokens == engine.tokens("text", max_tokens=12)
    assert (found.timings.drafted_tokens > 0) is proposes
