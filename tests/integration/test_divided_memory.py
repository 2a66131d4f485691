"""Memory that is divided among the sequences instead of shared."""

from __future__ import annotations

import pytest

import headrace
from headrace import ContextFullError, EngineParams, SamplingParams, SessionParams
from tests.support import tiny_gguf

GREEDY = SamplingParams(temperature=0.0)
PROMPT = "a beginning that is long enough to be worth copying"


def load(kind, *, divided, n_sequences=2):
    """A tiny model."""
    engine = EngineParams(n_ctx=1024, n_sequences=n_sequences, divided=divided, n_threads=1)
    return headrace.load_model(tiny_gguf.path(kind), backend="llamacpp", engine=engine)


@pytest.mark.parametrize("kind", ["attention", "window", "recurrent"])
def test_it_writes_the_same_tokens(kind):
    """In reproducible sessions, alone and after a fork."""
    written = []
    for divided in (False, True):
        with load(kind, divided=divided) as model:
            session = model.open_session(SessionParams(reproducible=True))
            done = session.complete(PROMPT, sampling=GREEDY, max_tokens=20, ignore_eog=True)
            forked = session.fork()
            more = forked.complete(" and", sampling=GREEDY, max_tokens=20, ignore_eog=True)
            written.append((done.tokens, more.tokens))
    assert written[0] == written[1]


@pytest.mark.parametrize("kind", ["attention", "window", "recurrent"])
def test_a_copy_goes_on_like_its_original(kind):
    """Copied whole and cut, or not at all; the original is untouched."""
    with load(kind, divided=True) as model:
        session = model.open_session()
        first = session.complete(PROMPT, sampling=GREEDY, max_tokens=20, ignore_eog=True)
        forked = session.fork()
        on = forked.complete(None, sampling=GREEDY, max_tokens=10, ignore_eog=True)
        assert on.usage.cached_tokens == len(session.tokens) - 1
        again = model.open_session()
        second = again.complete(PROMPT, sampling=GREEDY, max_tokens=20, ignore_eog=True)
        assert second.tokens == first.tokens
        same = session.complete(None, sampling=GREEDY, max_tokens=10, ignore_eog=True)
        assert same.tokens == on.tokens


def test_a_session_has_its_part_and_no_more():
    """The message names the setting that decides."""
    with load("attention", divided=True) as model, model.open_session() as session:
        session.complete([50] * 400, max_tokens=0)
        session.reset()
        with pytest.raises(ContextFullError, match="the context holds 512"):
            session.generate([50] * 600)
