"""Outputs keep to their grammars whatever happens to the driver, to drafts and to neighbours."""

from __future__ import annotations

import re

import attrs
import pytest

from headrace import (
    Choice,
    Gbnf,
    GrammarError,
    JsonSchema,
    PromptLookup,
    Regex,
    SamplingParams,
    SessionParams,
    StopReason,
)
from headrace.engine.constraints import MASKED
from headrace.errors import BackendProtocolError
from headrace.masks.matcher import Matcher
from headrace.protocols import allowed_tokens, is_allowed
from headrace_fake import ByteVocabulary
from tests.unit.engine.test_interrupted_driver import ERRORS, InterruptAt, places

N_TOKENS = ByteVocabulary.n_tokens
FIVE = Regex("(abc ){5}")
LETTERS = Regex("[a-f]{12}")
MIXED = Regex("abcd[ef]gh[ij]klmnop")
FILES = ("/headrace/engine/", "/headrace/masks/")


def greedy(grammar, **more) -> SamplingParams:
    """As the model likes it best."""
    return SamplingParams(temperature=0.0, grammar=grammar, **more)


def one_by_one(grammar) -> SamplingParams:
    """The same, where every token is wanted with its likelihood, and so none is leapt over."""
    return greedy(grammar, logprobs=0)


def test_a_row_is_told_what_its_grammar_allows(fake):
    """A row without a grammar is told nothing, in the same step."""
    seen = []
    engine = fake(on_step=lambda step, rows: seen.extend(rows))
    free = engine.stream("free", max_tokens=6)
    bound = engine.stream("bound", sampling=greedy(Regex("ab?c")), max_tokens=6, ignore_eog=False)
    next(free)

    assert bound.read().text in ("ac", "abc")
    list(free)

    masks = [row.allowed for row in seen if row.allowed is not None]
    assert [allowed_tokens(mask, N_TOKENS) for mask in masks[:2]] == [[ord("a")], [*b"bc"]]
    assert all(is_allowed(mask, N_TOKENS, token) for mask in masks[:1] for token in b"a")
    assert any(len({id(row.allowed) for row in seen}) > 1 for row in seen)
    assert any(row.sampler is not None and row.allowed is None for row in seen)


def test_an_end_that_is_ignored_comes_where_nothing_else_is_allowed(fake):
    """And not before."""
    done = fake().stream("x", sampling=greedy(Regex("a{3,5}")), max_tokens=20).read()

    assert (done.text, done.stop_reason) == ("aaaaa", StopReason.EOG)


def test_a_grammar_goes_on_behind_a_context_that_was_shifted(fake):
    """What the output began with is forgotten by the session, and not by the grammar."""
    engine = fake(engine={"n_ctx": 64, "n_sequences": 1})
    params = SessionParams(on_context_full="shift")
    with engine.model.open_session(params) as session:
        done = session.complete("go", sampling=greedy(Regex("(abcdefgh){20}")))

    assert done.text == "abcdefgh" * 20


@pytest.mark.parametrize("width", [None, 4])
def test_what_a_grammar_refuses_of_a_draft_is_left_out(fake, width):
    """Each place of a draft has a mask of its own; a width is filled up all the same."""
    seen = []
    engine = fake(seed=9, on_step=lambda step, rows: seen.extend(rows))
    lookup = PromptLookup(max_draft=3)
    params = SessionParams(speculate=lookup, reproducible=width is not None, decode_width=width)
    with engine.model.open_session(params) as session:
        found = session.complete("abc abd abc abd ", sampling=one_by_one(FIVE))

    assert found.text == "abc " * 5
    assert found.timings.accepted_tokens
    drafted = [row for row in seen if row.allowed is not None and row.draft]
    assert drafted
    for row in drafted:
        assert row.allowed.nbytes == -(-N_TOKENS // 32) * 4 * (1 + len(row.draft))


def asked_after(grammar) -> SamplingParams:
    """The same in GBNF, whose masks may be dear: a draw comes first."""
    texts = {FIVE: '"abc abc abc abc abc "', MIXED: '"abcd" [ef] "gh" [ij] "klmnop"'}
    return greedy(Gbnf(f"root ::= {texts.get(grammar, '[a-z]+')}"), logprobs=0)


def run(fake, position, error=KeyboardInterrupt, *, sampling=greedy):
    """Two streams with grammars; the driver of the first is interrupted."""
    engine = fake()
    victim = engine.stream("victim", sampling=sampling(MIXED), max_tokens=9)
    other = engine.stream("other", sampling=sampling(FIVE), ignore_eog=False)
    next(victim)
    interrupter, raised = InterruptAt(position, error, FILES), False
    try:
        with interrupter:
            next(victim)
            next(victim)
    except error:
        raised = True
    assert raised or not interrupter.fired
    text = other.read().text
    list(victim)
    rest = victim._owner.complete(None, sampling=greedy(Choice(["yes", "no"])))
    assert rest.text in ("yes", "no")
    return interrupter.fired, text, victim.result.text


@pytest.mark.parametrize(
    ("sampling", "error"),
    [
        *((greedy, error) for error in ERRORS),
        (one_by_one, KeyboardInterrupt),
        (asked_after, KeyboardInterrupt),
    ],
)
def test_no_bytecode_is_a_bad_place_to_die_under_a_grammar(fake, error, sampling):
    """Whatever was followed or leapt over when a driver dies is followed once."""
    expected = fake().stream("victim", sampling=sampling(MIXED), max_tokens=9).read().text
    run(fake, 10**9, sampling=sampling)
    (position, step), fired = places(error), True
    step = step if sampling is greedy else 3
    while fired:
        fired, other, victim = run(fake, position, error, sampling=sampling)
        assert other == "abc " * 5, position
        assert expected.startswith(victim), position
        position += step
    assert position > 100


def test_a_grammar_that_cannot_be_followed_ends_its_stream_alone(fake, monkeypatch):
    """The session goes on, and so do others."""
    engine = fake()
    other = engine.stream("other", max_tokens=5)
    failing = engine.stream("failing", sampling=greedy(LETTERS))
    next(failing)

    def refuse(self, draft=()):
        raise GrammarError("the output cannot be followed any further: too complex")

    with monkeypatch.context() as patch:
        patch.setattr(Matcher, "masks", refuse)
        with pytest.raises(GrammarError, match="too complex"):
            list(failing)
        assert len(list(other)) > 0
    assert failing._owner.complete("x", sampling=greedy(Choice(["ok"]))).text == "ok"


def test_a_token_that_is_not_allowed_is_a_breach_of_the_backend(fake, monkeypatch):
    """It ends the stream whose promise was broken, with the token named."""
    engine = fake()
    monkeypatch.setattr(
        "headrace_fake.sampler.FakeSampler._under_grammar", lambda *arguments: ord("!")
    )
    with pytest.raises(BackendProtocolError, match=r"token 33 .* Row\.allowed"):
        engine.stream("x", sampling=greedy(LETTERS)).read()


def steps_of(fake, sampling, **keywords):
    """The text under a grammar, the tokens of each row, and what was used."""
    seen = []
    engine = fake(on_step=lambda step, rows: seen.extend(len(row.tokens) for row in rows))
    done = engine.stream("x", sampling=sampling, ignore_eog=False, **keywords).read()
    return done, seen


def test_tokens_that_must_come_are_computed_at_once(fake):
    """All but the last of a run: the model would write that as one with what follows."""
    wanted = "ab(cd|ce)fghij"
    done, seen = steps_of(fake, greedy(Regex(wanted)))
    alone, one_each = steps_of(fake, one_by_one(Regex(wanted)))

    assert re.fullmatch(wanted, done.text)
    assert done.text == alone.text
    assert (done.usage.completion_tokens, done.stop_reason) == (10, StopReason.EOG)
    # The prompt with "ab", one of "c", the last of "cd" with "fghi", "j", the end.
    assert len(seen) < len(one_each) == 10
    assert sum(seen) == sum(one_each)
    assert done.timings.decode_tokens + 1 >= len(seen)


@pytest.mark.parametrize("more", [{"repeat_penalty": 1.1}, {"logprobs": 1}])
def test_nothing_is_leapt_over_where_tokens_are_counted(fake, more):
    """A sampler that looks back has to see each of them, and so has who reads likelihoods."""
    _, seen = steps_of(fake, greedy(Regex("abcdefgh"), **more))

    assert max(seen[1:]) == 1


def test_a_reproducible_session_computes_one_token_at_a_time(fake):
    """What a grammar needs must not decide how wide a call is."""
    seen = []
    engine = fake(on_step=lambda step, rows: seen.extend(len(row.tokens) for row in rows))
    with engine.model.open_session(SessionParams(reproducible=True)) as session:
        done = session.complete("x", sampling=greedy(Regex("abcdefgh")))

    assert done.text == "abcdefgh"
    assert max(seen[1:]) == 1


@pytest.mark.parametrize("most", range(1, 9))
def test_tokens_that_must_come_count(fake, most):
    """No more of them than were asked for."""
    done, _ = steps_of(fake, greedy(Regex("abc[de]fghijk")), max_tokens=most)

    assert len(done.tokens) == len(done.text) == most
    assert done.stop_reason is StopReason.MAX_TOKENS


def rows_under(fake, gbnf, script, **more):
    """The text under a grammar in GBNF, and whether each row that sampled had a mask."""
    seen = []

    def note(step, rows):
        seen.extend(row.allowed is not None for row in rows if row.sampler is not None)

    engine = fake(script=script, on_step=note, **more)
    sampling = SamplingParams(temperature=0.0, grammar=Gbnf(gbnf), logprobs=0)
    done = engine.stream("x", sampling=sampling, ignore_eog=False).read()
    assert done.stop_reason is StopReason.EOG
    return done.text, seen


def test_what_a_model_writes_by_itself_is_not_masked(fake):
    """Masks of recursive grammars may be dear: the grammar is asked about what was drawn."""
    nested = 'root ::= "(" root ")" | [a-z]+'

    assert rows_under(fake, nested, "((abc))") == ("((abc))", [False] * 8)


def test_a_draw_that_is_refused_is_made_again_with_a_mask(fake):
    """And so are the next ones; the token that was refused is nowhere in memory."""
    text, masked = rows_under(fake, 'root ::= "ab" [cd]{40} "e"', "abXX" + "c" * 60)

    assert re.fullmatch("ab[cd]{40}e", text)
    # The draw at the place of the first X, the same place again, and as many as are masked.
    assert masked[:3] == [False] * 3
    assert masked[3 : 3 + MASKED] == [True] * MASKED
    assert masked[3 + MASKED] is False
    assert len(masked) > len(text) + 1


def test_a_memory_that_cannot_forget_is_masked_at_once(fake):
    """To run a token again it would have to be built anew."""
    _, masked = rows_under(
        fake, 'root ::= "ab" [cd]{4}', "abcccc", truncation="none", can_copy=False
    )

    assert masked == [True] * 7


def test_a_cancel_forgets_what_was_leapt_over_and_not_read(fake):
    """The history is what was seen."""
    engine = fake()
    with engine.model.open_session() as session:
        stream = session.generate("x", sampling=greedy(Regex("abcdefgh[ij]klm")))
        text = next(iter(stream)).text
        stream.cancel()
        text += "".join(chunk.text for chunk in stream)
        assert engine.model.detokenize(session.tokens) == b"x" + text.encode()
        again = session.complete(None, sampling=greedy(Regex("[xy]{3}")))
        assert re.fullmatch("[xy]{3}", again.text)


def test_a_grammar_is_compiled_once(fake, monkeypatch):
    """An equal one comes from the cache of the model."""
    from headrace.grammar import library

    compiled = []
    real = library.new_matcher
    monkeypatch.setattr(library, "new_matcher", lambda *args: compiled.append(args) or real(*args))
    engine = fake()
    for _ in range(3):
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
        engine.stream("x", sampling=greedy(JsonSchema(schema)), ignore_eog=False).read()

    assert len(compiled) == 1


def test_what_grammars_need_can_be_made_while_loading(fake, monkeypatch):
    """Else it is made at the first grammar, once."""
    made = []
    monkeypatch.setattr(
        "headrace.masks.tokens.make_tokenizer", lambda *args, **named: made.append(args)
    )
    fake()
    assert made == []
    fake(engine={"prepare_grammar": True})
    assert len(made) == 1


def test_a_grammar_of_tasks_is_compiled_beside_the_event_loop(fake):
    """However short the prompt is."""
    import threading

    import anyio

    import headrace.masks.guide as guide

    engine, threads = fake(), []
    real = guide.Guide.matcher

    def noting(self, grammar, *, ban_eog):
        threads.append(threading.get_ident())
        return real(self, grammar, ban_eog=ban_eog)

    async def write() -> str:
        async with await engine.model.aopen_session() as session:
            return (await session.acomplete("x", sampling=greedy(Choice(["yes"])))).text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guide.Guide, "matcher", noting)
        assert anyio.run(write) == "yes"
    assert threads != [threading.get_ident()]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_drawn_matches(fake, seed):
    """At a temperature, with penalties."""
    pattern = "(?:[a-c]{2,4}|x+y)z?"
    sampling = SamplingParams(
        temperature=1.0, seed=seed, repeat_penalty=1.2, grammar=Regex(pattern)
    )
    done = fake(seed=seed).stream("x", sampling=sampling, ignore_eog=False).read()

    assert re.fullmatch(pattern, done.text)


def test_a_row_with_a_mask_is_a_value():
    """Masks are looked up by place."""
    mask = memoryview(bytes([0b101, 0, 0, 0, 0b10, 0, 0, 0]))

    assert allowed_tokens(mask, 20) == [0, 2]
    assert allowed_tokens(mask, 20, 1) == [1]
    assert [is_allowed(mask, 20, token, 1) for token in range(3)] == [False, True, False]
    assert attrs.fields_dict(SamplingParams)["grammar"].default is None
