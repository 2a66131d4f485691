"""Log-probabilities: what they are, and that they stand beside their tokens."""

from __future__ import annotations

import math

import attrs
import pytest

from headrace import Capability, ParamsError, SamplingParams, SessionParams, StopReason

GREEDY = SamplingParams(temperature=0.0, logprobs=5)
DRAWN = SamplingParams(temperature=1.5, top_k=0, top_p=1, min_p=0, seed=3, logprobs=5)


def _read_in_turns(streams) -> None:
    left = list(streams)
    while left:
        left = [stream for stream in left if next(stream, None) is not None]


def _aligned(tokens, logprobs) -> bool:
    return tuple(each.token for each in logprobs) == tuple(tokens)


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_each_token_has_its_own(model, session, sampling):
    """In the chunks and in the result; they are logarithms of probabilities, best first."""
    assert Capability.LOGPROBS in model.capabilities
    stream = session.generate("Once", sampling=sampling, max_tokens=12, ignore_eog=True)
    chunks = list(stream)
    done = stream.result
    assert all(_aligned(chunk.tokens, chunk.logprobs) for chunk in chunks)
    assert tuple(each for chunk in chunks for each in chunk.logprobs) == done.logprobs
    assert _aligned(done.tokens, done.logprobs)
    for each in done.logprobs:
        logprobs = [logprob for _, logprob in each.top]
        assert len(each.top) == 5
        assert each.logprob <= 0
        assert logprobs == sorted(logprobs, reverse=True)
        assert sum(map(math.exp, logprobs)) <= 1 + 1e-6
        assert each.logprob <= logprobs[0]
        assert dict(each.top).get(each.token, each.logprob) == each.logprob


def test_a_greedy_token_is_the_most_likely(session):
    """Without penalties."""
    done = session.complete("Hello", sampling=GREEDY, max_tokens=8, ignore_eog=True)
    best = [each.top[0] for each in done.logprobs]
    # An end that is banned may be likelier than what was taken.
    assert all(
        each.token == token or each.logprob <= logprob
        for each, (token, logprob) in zip(done.logprobs, best, strict=True)
    )
    assert any(each.token == token for each, (token, _) in zip(done.logprobs, best, strict=True))


def test_they_are_of_the_model_and_not_of_the_sampling(model):
    """The first token's alternatives are the same, whatever becomes of it."""
    firsts = set()
    for sampling in (GREEDY, DRAWN, attrs.evolve(DRAWN, repeat_penalty=5.0, seed=9)):
        with model.open_session(SessionParams(reproducible=True)) as session:
            done = session.complete("Once", sampling=sampling, max_tokens=1, ignore_eog=True)
        firsts.add(done.logprobs[0].top)
    assert len(firsts) == 1


@pytest.mark.parametrize("n", [0, 1, 100])
def test_as_many_alternatives_as_asked_for(session, n):
    """None is a number too."""
    sampling = attrs.evolve(GREEDY, logprobs=n)
    done = session.complete("Once", sampling=sampling, max_tokens=3, ignore_eog=True)
    assert [len(each.top) for each in done.logprobs] == [n] * 3


def test_they_cost_nothing_unless_asked_for(session, greedy):
    """Nor are they there."""
    done = session.complete("Once", sampling=greedy, max_tokens=3, ignore_eog=True)
    assert done.logprobs == ()


def test_asking_changes_no_token(model, greedy):
    """The same tokens with and without."""
    runs = []
    for sampling in (greedy, GREEDY, attrs.evolve(DRAWN, logprobs=None), DRAWN):
        with model.open_session(SessionParams(reproducible=True)) as session:
            done = session.complete("Hello", sampling=sampling, max_tokens=12, ignore_eog=True)
        runs.append(done.tokens)
    assert runs[0] == runs[1]
    assert runs[2] == runs[3]


def test_a_stop_string_takes_no_more_than_its_tokens(model):
    """Tokens that only completed it are gone, and so are their log-probabilities."""
    with model.open_session(SessionParams(reproducible=True)) as session:
        whole = session.complete("Hello", sampling=DRAWN, max_tokens=24, ignore_eog=True)
    middle = whole.text[10:13]
    with model.open_session(SessionParams(reproducible=True)) as session:
        cut = session.complete("Hello", sampling=DRAWN, max_tokens=24, ignore_eog=True, stop=middle)
    assert cut.stop_reason is StopReason.STOP_STRING
    assert _aligned(cut.tokens, cut.logprobs)
    assert cut.logprobs == whole.logprobs[: len(cut.logprobs)]


def test_a_cancel_keeps_those_of_what_was_read(target):
    """Look-ahead nobody read leaves nothing; the next generation has its own."""
    with target.load(lookahead=8) as model, model.open_session() as session:
        stream = session.generate("Once", sampling=DRAWN, max_tokens=50, ignore_eog=True)
        chunks = [next(stream) for _ in range(3)]
        stream.cancel()
        done = stream.result
        assert done.logprobs == tuple(each for chunk in chunks for each in chunk.logprobs)
        assert _aligned(done.tokens, done.logprobs)
        more = session.complete(None, sampling=GREEDY, max_tokens=3, ignore_eog=True)
        assert _aligned(more.tokens, more.logprobs)


def test_an_evicted_session_keeps_its_own(target):
    """Three streams in turns over one sequence have what each has alone."""
    prompts = ["one", "two words", "and three more"]

    def generate(session, prompt):
        return session.generate(prompt, sampling=DRAWN, max_tokens=6, ignore_eog=True)

    with target.load(n_sequences=1) as model:
        alone = []
        for prompt in prompts:
            with model.open_session(SessionParams(reproducible=True)) as session:
                stream = generate(session, prompt)
                list(stream)
                alone.append(stream.result.logprobs)
        sessions = [model.open_session(SessionParams(reproducible=True)) for _ in prompts]
        streams = [
            generate(session, prompt) for session, prompt in zip(sessions, prompts, strict=True)
        ]
        _read_in_turns(streams)
        assert [stream.result.logprobs for stream in streams] == alone


def test_streams_that_want_them_go_with_streams_that_do_not(target, greedy):
    """Each gets what it asked for out of the same steps."""
    wanted = [None, 0, 7]
    with target.load(n_sequences=4) as model:
        sessions = [model.open_session() for _ in wanted]
        streams = [
            session.generate(
                f"prompt {n}",
                sampling=attrs.evolve(greedy, logprobs=n),
                max_tokens=6,
                ignore_eog=True,
            )
            for session, n in zip(sessions, wanted, strict=True)
        ]
        _read_in_turns(streams)
        for stream, n in zip(streams, wanted, strict=True):
            done = stream.result
            assert [len(each.top) for each in done.logprobs] == ([] if n is None else [n] * 6)
            assert n is None or _aligned(done.tokens, done.logprobs)


def test_a_bias_on_a_token_there_is_not_is_refused(model, session):
    """Before anything is run."""
    sampling = SamplingParams(logit_bias={model.info.n_vocab: 1.0})
    if Capability.SAMPLERS in model.capabilities:
        with pytest.raises(ParamsError, match="not in the vocabulary"):
            session.generate("x", sampling=sampling)
    assert session.tokens == []
