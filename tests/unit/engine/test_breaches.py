"""What a backend does wrong is named, ends what it concerns, and never loops or hangs."""

from __future__ import annotations

import functools
import logging
from array import array

import attrs
import pytest

from headrace import Choice, DecodeError, SamplingParams
from headrace.engine.checked import PATIENCE
from headrace.errors import BackendProtocolError
from headrace.protocols import RowResult, ScoreOutcome, StepOutcome, StepStatus
from headrace.results.machine import SystemInfo
from tests.unit.engine.conftest import GREEDY


class Id(int):
    """An id as numpy gives them: a number, and no ``int``."""


def broken(owner, name, change):
    """Have every call of a method give what ``change`` makes of its result."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def changed(*arguments, **keywords):
        return change(original(*arguments, **keywords))

    setattr(owner, name, changed)


def raising(owner, name):
    """Have every call of a method raise as a defect does."""

    def defect(*arguments, **keywords):
        raise ValueError("a defect")

    setattr(owner, name, defect)


def opened(fake, **options):
    """An engine whose decoder is open, and that decoder."""
    engine = fake(**options)
    engine.tokens(max_tokens=1)
    return engine, engine.backend.decoders[-1]


def with_rows(**changes):
    """An outcome with changed rows."""

    def change(outcome):
        rows = [attrs.evolve(row, **changes) for row in outcome.rows]
        return attrs.evolve(outcome, rows=rows)

    return change


OUTCOMES = {
    "None": (lambda outcome: None, "None instead of a StepOutcome"),
    "rows missing": (lambda outcome: attrs.evolve(outcome, rows=[]), "0 results for 1 rows"),
    "rows too many": (
        lambda outcome: attrs.evolve(outcome, rows=[*outcome.rows, RowResult(0)]),
        "2 results for 1 rows",
    ),
    "a status in words": (lambda outcome: attrs.evolve(outcome, status="done"), "no StepStatus"),
    "no error": (lambda outcome: StepOutcome(StepStatus.FAILED, [], "oh"), "no HeadraceError"),
    "no result": (lambda outcome: StepOutcome(outcome.status, [None]), "instead of a RowResult"),
    "done and no token": (with_rows(tokens=()), "no token was sampled"),
    "id too large": (with_rows(tokens=(10**6,)), "outside the vocabulary of"),
    "id negative": (with_rows(tokens=(-1,)), "outside the vocabulary of"),
    "id of another kind": (with_rows(tokens=(Id(65),)), "is a Id instead of an int"),
    "tokens in a list": (with_rows(tokens=[65]), "tokens [65]"),
    "too many tokens": (with_rows(tokens=(65, 66)), "2 tokens of a row with a draft of 0"),
    "length too large": (with_rows(length=10**6), "a memory of 1000000 tokens"),
    "length negative": (with_rows(length=-1), "a memory of -1 tokens"),
    "length None": (with_rows(length=None), "a length of None"),
    "an error in words": (with_rows(error="oh"), "no HeadraceError"),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_a_step_that_breaks_the_protocol_ends_its_stream(fake, case):
    """With an error that names the backend, the call and what was wrong; the session is right."""
    change, told = OUTCOMES[case]
    expected = fake().tokens(max_tokens=8)
    engine, decoder = opened(fake)
    step = decoder.step
    session = engine.model.open_session()
    stream = session.generate("prompt", sampling=GREEDY, max_tokens=8, ignore_eog=True)
    first = next(stream)
    broken(decoder, "step", change)
    with pytest.raises(BackendProtocolError, match="'fake' broke the protocol in step") as caught:
        list(stream)
    assert told in str(caught.value)
    assert caught.value.backend == "fake"
    decoder.step = step
    rest = session.complete(None, sampling=GREEDY, max_tokens=7, ignore_eog=True)
    assert first.tokens + rest.tokens == expected


class Panic(BaseException):
    """As a panic of a Rust extension arrives: no ``Exception``."""


Panic.__module__ = "pyo3_runtime"


@pytest.mark.parametrize("error", [Panic("at the disco"), SystemExit(3)])
def test_a_step_that_panics_or_exits_ends_its_stream(fake, error):
    """And not the program."""
    engine, decoder = opened(fake)
    step = decoder.step
    session = engine.model.open_session()
    stream = session.generate("prompt", sampling=GREEDY, max_tokens=8, ignore_eog=True)
    next(stream)

    def fail(*arguments, **keywords):
        raise error

    decoder.step = fail
    with pytest.raises(DecodeError, match=f"raised {type(error).__name__} in step"):
        list(stream)
    decoder.step = step
    assert session.complete(None, sampling=GREEDY, max_tokens=2, ignore_eog=True).tokens


def test_a_wrong_row_ends_its_own_stream_alone(fake):
    """Its neighbour in the same step gets all its tokens."""
    expected = fake().tokens("right", max_tokens=8)
    engine, decoder = opened(fake, engine={"n_sequences": 2})
    wrong, right = engine.stream("wrong", max_tokens=8), engine.stream("right", max_tokens=8)
    next(wrong)
    next(right)

    def change(outcome):
        if len(outcome.rows) == 2:
            outcome.rows[0].tokens = (10**6,)
        return outcome

    broken(decoder, "step", change)
    ends = []
    for stream in (wrong, right):
        try:
            list(stream)
            ends.append(stream.result.tokens)
        except BackendProtocolError:
            ends.append(None)
    assert ends.count(None) == 1
    if ends[1] is not None:
        assert ends[1] == expected


@pytest.mark.parametrize("status", [StepStatus.DONE, StepStatus.INTERRUPTED])
def test_nothing_loops_without_progress(fake, status):
    """A prefill that never gets anywhere ends, also one that says it was interrupted."""
    engine, decoder = opened(fake)
    calls = []

    def step(step_id, rows, *, time_limit=None):
        calls.append(step_id)
        return StepOutcome(status, [RowResult(row.position) for row in rows])

    decoder.step = step
    with pytest.raises(BackendProtocolError, match="in step"):
        engine.tokens("x" * 40)
    assert 1 <= len(calls) <= PATIENCE + 1


def test_a_step_that_always_says_there_is_no_room_ends(fake):
    """As it does where there really is none."""
    engine, decoder = opened(fake)
    decoder.step = lambda step_id, rows, time_limit=None: StepOutcome(StepStatus.NO_ROOM)
    with pytest.raises(Exception, match="does not fit"):
        engine.tokens("x" * 40)


VOCABULARY = {
    "tokenize": (["a"], "'a'"),
    "detokenize": ("text", "'text' instead of bytes"),
    "piece": ("text", "'text' instead of bytes"),
    "pieces": ([b"text"], "1 pieces"),
}


@pytest.mark.parametrize("name", [*VOCABULARY, "is_eog"])
def test_a_vocabulary_that_raises_is_named(fake, name):
    """In the call that needed it."""
    engine, _ = opened(fake)
    raising(engine.model._vocabulary._vocabulary, name)
    with pytest.raises(BackendProtocolError, match=rf"'fake' raised ValueError in .*{name}"):
        _use_vocabulary(engine)


@pytest.mark.parametrize("name", VOCABULARY)
def test_a_vocabulary_that_gives_something_else_is_named(fake, name):
    """In the call that needed it."""
    engine, _ = opened(fake)
    wrong, told = VOCABULARY[name]
    broken(engine.model._vocabulary._vocabulary, name, lambda found: wrong)
    with pytest.raises(BackendProtocolError, match=name) as caught:
        _use_vocabulary(engine)
    assert told in str(caught.value)


def _use_vocabulary(engine):
    engine.model.tokenize("a text")
    engine.model.detokenize([65])
    engine.tokens(max_tokens=3)
    engine.stream(sampling=SamplingParams(grammar=Choice(["yes"]))).read()


MEMORY = {
    "truncate": [10**6, -1, None, "3"],
    "import_state": [-1, None],
    "export_state": [None, b"bytes"],
    "new_sampler": [None],
}


@pytest.mark.parametrize(("name", "wrong"), [(n, w) for n, each in MEMORY.items() for w in each])
def test_a_call_for_memory_that_gives_something_else_is_named(fake, name, wrong):
    """And the session goes on once it is right again."""
    engine, decoder = opened(fake)
    session = engine.model.open_session()
    original = getattr(decoder, name)
    broken(decoder, name, lambda found: wrong)
    with pytest.raises(BackendProtocolError, match=name):
        _use_memory(session)
    setattr(decoder, name, original)
    _use_memory(session)


@pytest.mark.parametrize("name", [*MEMORY, "clear", "score"])
def test_a_decoder_that_raises_is_named(fake, name):
    """As a failure of the decoder, whose sessions live on."""
    engine, decoder = opened(fake)
    session = engine.model.open_session()
    original = getattr(decoder, name)
    raising(decoder, name)
    with pytest.raises(DecodeError, match=f"'fake' raised ValueError in {name}") as caught:
        _use_memory(session)
    assert not caught.value.poisoned
    setattr(decoder, name, original)
    _use_memory(session)


def _use_memory(session):
    session.reset()
    session.complete("a history", sampling=GREEDY, max_tokens=3, ignore_eog=True)
    session.rewind(to=4)
    session.complete(" and more", sampling=GREEDY, max_tokens=2, ignore_eog=True)
    session.score(" a text")
    session.load_state(session.state())
    session.complete(None, sampling=GREEDY, max_tokens=1, ignore_eog=True)


SCORES = {
    "None": (lambda outcome: None, "instead of a ScoreOutcome"),
    "missing": (lambda outcome: attrs.evolve(outcome, logprobs=()), "0 log-probabilities"),
    "numbers": (
        lambda outcome: attrs.evolve(outcome, logprobs=[0.5] * len(outcome.logprobs)),
        "log-probabilities",
    ),
    "length": (lambda outcome: attrs.evolve(outcome, length=10**6), "a memory of 1000000"),
    "length too small": (lambda outcome: attrs.evolve(outcome, length=0), "memory has 0"),
    "status": (lambda outcome: attrs.evolve(outcome, status="done"), "no StepStatus"),
}


@pytest.mark.parametrize("case", SCORES)
def test_a_score_that_breaks_the_protocol_says_so(fake, case):
    """And the session scores once it is right again."""
    change, told = SCORES[case]
    engine, decoder = opened(fake)
    session = engine.model.open_session()
    score = decoder.score
    broken(decoder, "score", change)
    with pytest.raises(BackendProtocolError) as caught:
        session.score("a text")
    assert told in str(caught.value)
    decoder.score = score
    assert len(session.score("a text").tokens)


def test_a_score_that_never_gets_anywhere_ends(fake):
    """One that says each time that it was interrupted, by nobody."""
    engine, decoder = opened(fake)
    session = engine.model.open_session()
    decoder.score = lambda step_id, row: ScoreOutcome(StepStatus.INTERRUPTED, row.position)
    with pytest.raises(BackendProtocolError, match="without any progress"):
        session.score("a text")


def _short(vectors):
    return [array("f", vector[:-1]) for vector in vectors]


@pytest.mark.parametrize(
    "change",
    [lambda vectors: None, lambda vectors: [], lambda vectors: "oh", _short],
    ids=["for ever", "missing", "no list", "short"],
)
def test_an_embedder_that_breaks_the_protocol_is_named(fake, change):
    """And embeds once it is right again."""
    engine = fake()
    expected = engine.model.embed("a text").vectors
    (slot,) = engine.model._vectors._embedders._places.values()
    embed = slot.embedder.raw.embed
    broken(slot.embedder.raw, "embed", change)
    with pytest.raises(BackendProtocolError, match="'fake' broke the protocol in embed"):
        engine.model.embed("a text")
    raising(slot.embedder.raw, "embed")
    with pytest.raises(DecodeError, match="'fake' raised ValueError in embed"):
        engine.model.embed("a text")
    slot.embedder.raw.embed = embed
    assert engine.model.embed("a text").vectors == expected


@pytest.mark.parametrize("name", ["open_decoder", "generate_hint"])
def test_opening_a_session_that_raises_is_named(fake, name):
    """And the next one opens."""
    engine = fake()
    original = getattr(engine.model._model, name)
    raising(engine.model._model, name)
    with pytest.raises(BackendProtocolError, match=f"'fake' raised ValueError in {name}"):
        engine.model.open_session()
    setattr(engine.model._model, name, original)
    assert engine.tokens()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_batch": 0}, "info.n_batch must be at least 1"),
        ({"n_sequences": None}, "info.n_sequences must be at least 1"),
        ({"max_draft": -1}, "info.max_draft"),
        ({"truncation": "any way"}, "info.truncation"),
        (None, "instead of a DecoderInfo"),
    ],
)
def test_a_decoder_that_says_nonsense_of_itself_is_refused(fake, changes, told):
    """When the session opens, and before anything is computed."""
    engine = fake()

    def change(decoder):
        decoder.info = None if changes is None else attrs.evolve(decoder.info, **changes)
        return decoder

    broken(engine.model._model, "open_decoder", change)
    with pytest.raises(BackendProtocolError) as caught:
        engine.model.open_session()
    assert told in str(caught.value)
    for decoder in list(engine.backend.decoders):
        decoder.close()


def test_what_the_model_tells_is_looked_at(fake):
    """``system_info`` and its like."""
    engine = fake()
    assert isinstance(engine.model.system_info(), SystemInfo)
    broken(engine.model._model, "system_info", lambda found: {})
    with pytest.raises(BackendProtocolError, match="system_info"):
        engine.model.system_info()
    raising(engine.model._model, "system_info")
    with pytest.raises(BackendProtocolError, match="'fake' raised ValueError in system_info"):
        engine.model.system_info()


def test_a_decoder_that_cannot_be_closed_is_named_and_the_model_is_freed_all_the_same(fake):
    """Closing again does nothing."""
    engine, decoder = opened(fake)
    close = decoder.close

    def closed_in_the_end():
        close()
        raise ValueError("a defect")

    decoder.close = closed_in_the_end
    with pytest.raises(BackendProtocolError, match="'fake' raised ValueError in close"):
        engine.model.close()
    assert engine.model._model._closed
    engine.model.close()


def test_a_sampler_that_cannot_be_closed_fails_nobodys_stream(fake, caplog):
    """It is told in the log."""
    engine, decoder = opened(fake)

    def change(sampler):
        raising(sampler, "close")
        return sampler

    broken(decoder, "new_sampler", change)
    with caplog.at_level(logging.WARNING, "headrace"):
        assert len(engine.tokens(max_tokens=3)) == 3
        assert len(engine.tokens(max_tokens=3)) == 3
    assert "'fake' raised ValueError in sampler.close" in caplog.text


@pytest.mark.parametrize("name", ["render_chat", "parse"])
def test_a_chat_that_breaks_the_protocol_is_named(fake, name):
    """The rendering of the question, and the reading of the answer."""
    engine, _ = opened(fake)
    model = engine.model._model

    def rendered(found):
        broken(found.parser, "parse", lambda message: "text")
        return found

    broken(model, "render_chat", rendered if name == "parse" else lambda found: "text")
    called = "chat parser" if name == "parse" else name
    with pytest.raises(BackendProtocolError, match=f"broke the protocol in {called}"):
        engine.model.open_session().complete_chat([{"role": "user", "content": "hi"}])
