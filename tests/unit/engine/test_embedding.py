"""Vectors through the engine: turns, cancels, faults, and what fits into a call."""

from __future__ import annotations

import builtins
import threading

import anyio
import pytest

import headrace
from headrace.engine.texts import batches, read_texts
from headrace.errors import UnsupportedError
from headrace.protocols import EmbedderInfo, Model, Pooling

INFO = EmbedderInfo(
    n_dimensions=2, n_batch=10, n_text=8, n_texts=3, pooling=Pooling.MEAN, interruptible=True
)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([3], [[3]]),
        ([3, 3, 3, 3], [[3, 3, 3], [3]]),
        ([8, 2, 1, 8, 8], [[8, 2], [1, 8], [8]]),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
    ],
)
def test_texts_are_packed_in_their_order(lengths, expected):
    """As many as fit, by tokens and by number."""
    texts = [[0] * length for length in lengths]
    assert [list(map(len, batch)) for batch in batches(texts, INFO)] == expected


class Around:
    """A vocabulary of characters that puts 101 before each text and 102 after it."""

    n_tokens = 128

    def tokenize(self, text, *, add_special, parse_special):
        """Letters count from a."""
        plain = [ord(each) - ord("a") for each in text]
        return [101, *plain, 102] if add_special else plain


def test_a_cut_keeps_what_stands_around_the_text():
    """CLS and SEP, for example. Of tokens that the caller gave none is known to be special."""
    (text,) = read_texts(["bcde"], Around())
    assert text.tokens == [101, 1, 2, 3, 4, 102]
    assert text.cut(4, Around()) == [101, 1, 2, 102]
    assert text.cut(2, Around()) == [101, 102]
    assert text.cut(1, Around()) == [101]
    (given,) = read_texts([(101, 1, 2)], Around())
    assert given.cut(2, Around()) == [101, 1]


def test_a_text_that_fits_is_tokenized_once(monkeypatch):
    """What stands around it matters to a cut alone."""
    asked = []
    original = Around.tokenize
    monkeypatch.setattr(Around, "tokenize", lambda *a, **k: (asked.append(k), original(*a, **k))[1])
    assert [text.tokens for text in read_texts(["b", ""], Around())] == [[101, 1, 102], [101, 102]]
    assert asked == [{"add_special": True, "parse_special": False}] * 2


def test_a_call_that_was_interrupted_by_nobody_is_made_again(fake):
    """An interrupt that came for nothing costs time, no vector."""
    calls = []
    model = fake(on_step=lambda call_id, rows: calls.append(call_id)).model
    expected = list(model.embed(["a", "b"]))
    model._vectors._embedders._places[Pooling.MEAN].embedder.interrupt(2)
    assert list(model.embed(["a", "b"])) == expected
    assert calls == [1, 2, 3]


def test_cancelling_a_task_ends_it_inside_a_call(fake):
    """A call of an hour is left at once, and the next one works."""
    running = threading.Event()
    made = fake(delay=3600, on_step=lambda call_id, rows: running.set())

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(made.model.aembed, "a text")
            await anyio.to_thread.run_sync(running.wait)
            group.cancel_scope.cancel()

    anyio.run(main)
    slot = made.model._vectors._embedders._places[Pooling.MEAN]
    with slot._turn:  # the call's thread has let go of it
        assert slot.embedder.raw._user is None


def test_a_task_cancelled_before_its_turn_computes_nothing(fake):
    """The thread that waits for it finds out when its turn comes."""
    calls = []
    made = fake(on_step=lambda call_id, rows: calls.append(call_id))
    made.model.embed("open")
    slot = made.model._vectors._embedders._places[Pooling.MEAN]

    async def main():
        with anyio.move_on_after(0.01):
            await made.model.aembed("never")

    with slot._turn:
        anyio.run(main)
    with slot._turn:
        assert calls == [1]


def test_a_keyboard_interrupt_leaves_the_embedder_usable(fake):
    """It ends the call it fell into."""
    made = fake(fault_at=2, fault="keyboard_interrupt")
    expected = made.model.embed("a")[0]
    with pytest.raises(KeyboardInterrupt):
        made.model.embed("a")
    assert made.model.embed("a")[0] == expected


def test_a_failed_call_is_an_error_and_the_next_one_works(fake):
    """A poisoned context is replaced by a new one."""
    for fault in ("failed", "poisoned"):
        made = fake(fault_at=1, fault=fault)
        with pytest.raises(headrace.DecodeError) as caught:
            made.model.embed("a")
        assert caught.value.poisoned is (fault == "poisoned")
        assert len(made.model.embed("a")) == 1


def test_closing_the_model_ends_a_running_call(fake):
    """Its caller gets a ClosedError."""
    running = threading.Event()
    made = fake(delay=3600, on_step=lambda call_id, rows: running.set())
    caught = []

    def embed():
        with pytest.raises(headrace.ClosedError) as error:
            made.model.embed("a text")
        caught.append(error)

    thread = threading.Thread(target=embed)
    thread.start()
    running.wait()
    made.model.close()
    thread.join()
    assert len(caught) == 1


def test_a_signal_handler_may_close_the_model_while_it_embeds(fake):
    """In the thread that is inside the call."""
    made = fake(on_step=lambda call_id, rows: made.model.close())
    with pytest.raises(headrace.ClosedError):
        made.model.embed(["a"] * 100)


def test_threads_take_turns_call_by_call(fake):
    """The fake notes two calls at once as misuse; both threads get their own vectors."""
    made = fake(engine={"n_sequences": 1}, delay=0.0005)
    expected = {name: list(made.model.embed([name] * 3)) for name in ("one", "two")}
    found = {}

    def embed(name):
        found[name] = list(made.model.embed([name] * 30))

    threads = [threading.Thread(target=embed, args=(name,)) for name in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: vectors * 10 for name, vectors in expected.items()}


def test_without_numpy_arrays_are_refused_with_the_command_that_helps(fake, monkeypatch):
    """Lists need no numpy."""
    model = fake().model
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "numpy":
            raise ImportError("No module named 'numpy'")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnsupportedError, match=r"pip install 'headrace\[numpy\]'"):
        model.embed("x", as_array=True)
    assert len(model.embed("x")) == 1


def test_the_vocabulary_alone_makes_no_vectors():
    """The hint says what to do; the capabilities say so, too."""
    params = headrace.ModelParams(vocab_only=True)
    with headrace.load_model("fake:", params=params) as model:
        assert headrace.Capability.EMBED not in model.capabilities
        with pytest.raises(UnsupportedError, match="vocab_only"):
            model.embed("x")
        with pytest.raises(UnsupportedError, match="vocab_only"):
            model.rerank("x", ["y"])


def test_a_library_without_vectors_says_so(fake):
    """A decoder model that does not implement the optional protocol."""
    model = fake().model

    class WithoutVectors:
        info = model.info

    model._making_vectors()._model = WithoutVectors()
    with pytest.raises(UnsupportedError, match="no vectors"):
        model.embed("x")


def test_a_tier_1_backend_need_not_embed():
    """What it inherits refuses."""

    class Remote(Model):
        def _open(self, params):
            """Opens none."""

    model = Remote(headrace.ModelInfo("mill", "remote", "1", "none", "far away", 0, 0), frozenset())
    for call in (lambda: model.embed("x"), lambda: model.rerank("x", ["y"])):
        with pytest.raises(UnsupportedError, match=r"model\.capabilities"):
            call()
    for awaited in (lambda: model.aembed("x"), lambda: model.arerank("x", ["y"])):
        with pytest.raises(UnsupportedError, match="Remote"):
            anyio.run(awaited)


def test_a_ranking_keeps_the_order_or_puts_the_best_first(fake):
    """The fake's score is the share of the query's words; equals stay in their order."""
    model = fake().model
    documents = ["dogs bark", "The cat sat", "the dog", "a cat"]
    ranking = model.rerank("the cat", documents)
    assert [(each.index, each.score) for each in ranking] == [(0, 0), (1, 1), (2, 0.5), (3, 0.5)]
    best_first = model.rerank("the cat", documents, sort=True)
    assert [each.index for each in best_first] == [1, 2, 3, 0]
    assert best_first.usage == ranking.usage
    assert list(model.rerank("the cat", [])) == []
    assert list(anyio.run(model.arerank, "the cat", documents)) == list(ranking)


@pytest.mark.parametrize(
    ("query", "documents", "options", "said"),
    [
        (1, ["x"], {}, "query must be"),
        ("x", "one document", {}, "documents must be"),
        ("x", ["y", 2], {}, r"documents\[1\] must be"),
        ("x", ["y"], {"sort": "yes"}, "sort must be"),
    ],
)
def test_wrong_arguments_of_a_ranking_are_refused_by_name(fake, query, documents, options, said):
    """Before anything is computed."""
    with pytest.raises(headrace.ParamsError, match=said):
        fake().model.rerank(query, documents, **options)


def test_a_document_that_is_too_long_says_so_or_is_cut(fake):
    """The query stays whole; if it alone is too long, nothing helps."""
    model = fake(engine={"n_ubatch": 32}).model
    long = "cat " * 50
    with pytest.raises(headrace.ContextFullError, match=r"documents\[1\] has .* tokens.* 32"):
        model.rerank("the cat", ["short", long])
    ranking = model.rerank("the cat", ["short", long], truncate=True)
    assert ranking[1].score == 0.5
    assert ranking.usage.prompt_tokens <= 64
    with pytest.raises(headrace.ContextFullError):
        model.rerank(long, ["short"], truncate=True)


def test_the_limit_follows_from_the_settings(fake):
    """The hint names them, and raising them helps."""
    text = "x" * 600
    with pytest.raises(headrace.ContextFullError, match="n_ubatch=512"):
        fake().model.embed(text)
    assert len(fake(engine={"n_ubatch": 1024}).model.embed(text)) == 1
    with pytest.raises(headrace.ContextFullError, match="made for no more"):
        fake(engine={"n_ubatch": 1024}, n_ctx=512).model.embed(text)
