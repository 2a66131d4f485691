"""Vectors by llama.cpp: compared with numpy's, and everything that can go wrong."""

from __future__ import annotations

import signal
import threading

import gguf
import numpy as np
import pytest

import headrace
from headrace import Capability, EngineParams
from headrace.params import ModelParams
from headrace.protocols import Pooling
from headrace_llamacpp import embedding
from headrace_llamacpp._native import lib, new_report
from tests.support import bert, minilm, tiny_gguf
from tests.support.subprocesses import run_script

TEXTS = [
    "The quick fox sat on the mat.",
    "a",
    "unbelievable, really!",
    "light on the river stone 123",
    "",
]
REAL_TEXTS = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby; don't!",
    "Größe, naïve café — 東京は日本の首都",
    "hello   world\tfoo_bar #1 $5 a+b=c",
    "Someone has a meal. " * 30,
]


@pytest.fixture
def open_model():
    """Load a model with fields of ``EngineParams``; closed after the test."""
    models = []

    def load(kind="bert", **engine):
        path = tiny_gguf.path(kind) if isinstance(kind, str) else kind
        params = EngineParams(**{"n_threads": 1, **engine})
        models.append(headrace.load_model(path, backend="llamacpp", engine=params))
        return models[-1]

    yield load
    for model in models:
        model.close()


@pytest.fixture
def open_embedder(load):
    """Open embedders without an engine around them; closed after the test."""
    embedders = []

    def open_(kind="bert", pooling=Pooling.MEAN, **engine):
        params = EngineParams(**{"n_threads": 1, **engine})
        embedders.append(load(kind).open_embedder(params, pooling))
        return embedders[-1]

    yield open_
    for embedder in embedders:
        embedder.close()


@pytest.fixture
def embedder(open_embedder):
    """A tiny BERT's embedder."""
    return open_embedder()


def cosine(one, other):
    """Of the angle between two vectors."""
    return np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)


def test_vectors_of_a_tiny_bert_are_numpys(open_model):
    """Token by token, and pooled in each way; several texts in one call."""
    network = bert.tiny(gguf.PoolingType.MEAN)
    model = open_model("bert")
    expected = [network.forward(network.tokens(text)) for text in TEXTS]
    made = model.embed(TEXTS, pooling="none", normalize=False, as_array=True)
    for text, vectors, wanted in zip(TEXTS, made, expected, strict=True):
        assert model.tokenize(text) == network.tokens(text)
        assert vectors == pytest.approx(wanted, abs=0.02)
    pooled = {"mean": lambda v: v.mean(axis=0), "cls": lambda v: v[0], "last": lambda v: v[-1]}
    for pooling, pool in pooled.items():
        for vector, wanted in zip(model.embed(TEXTS, pooling=pooling), expected, strict=True):
            assert cosine(vector, pool(wanted)) > 0.99999


def test_the_models_own_pooling_is_the_default(open_model):
    """As its file names it; one that names none wants it named."""
    model = open_model("bert")
    assert model.embed("a cat").pooling == "mean"
    assert list(model.embed("a cat")) == list(model.embed("a cat", pooling="mean"))
    with pytest.raises(headrace.ParamsError, match="pooling must be given"):
        open_model("attention").embed("a cat")


def test_vectors_of_a_real_model_are_the_originals(open_model):
    """all-MiniLM-L6-v2: tokens, and vectors within a cosine of 0.999."""
    network = minilm.network()
    model = open_model(minilm.path())
    made = model.embed(REAL_TEXTS)
    for text, vector in zip(REAL_TEXTS, made, strict=True):
        assert model.tokenize(text) == network.tokens(text)
        assert cosine(vector, network.embed(text)) > 0.9999
    assert made.usage.prompt_tokens == sum(len(network.tokens(text)) for text in REAL_TEXTS)
    eating, bread, girl = made[:3]
    assert cosine(eating, bread) > 0.7 > 0.2 > cosine(eating, girl)


def test_a_text_beyond_the_positions_of_a_model_never_reaches_it(open_model, embedder):
    """There are no weights for them; what was raised is the error of a text that is too long."""
    model = open_model("bert", n_ubatch=512)
    assert model.info.n_ctx_train == 128
    with pytest.raises(headrace.ContextFullError, match="200 tokens, more than the 128"):
        model.embed([[5] * 200])
    cut = model.embed("cat " * 200, truncate=True)
    ids = model.tokenize("cat " * 200)
    assert list(cut) == [pytest.approx(model.embed([[*ids[:127], ids[-1]]])[0], abs=1e-3)]
    with pytest.raises(headrace.DecodeError, match="longer than the model was made for"):
        embedder.embed(1, [[5] * 200])


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "no texts"),
        ([[]], "has no tokens"),
        ([[5]] * 9, "more than a call may have"),
        ([[5] * 100] * 6, "more tokens than a batch may"),
        ([[-1]], "not in the vocabulary"),
        ([[10**6]], "not in the vocabulary"),
    ],
)
def test_what_would_end_the_process_is_refused(embedder, texts, said):
    """Before llama.cpp is called; the embedder stays usable."""
    with pytest.raises(headrace.DecodeError, match=said) as caught:
        embedder.embed(1, texts)
    assert not caught.value.poisoned
    assert embedder.embed(2, [[5, 6]]) is not None


def test_scores_of_a_reranker_are_numpys(open_model):
    """CLS, the query, SEP, the document: as llama.cpp's server puts BERT's pairs together."""
    network = bert.tiny(gguf.PoolingType.RANK)
    model = open_model("reranker")
    assert Capability.RERANK in model.capabilities
    documents = [text for text in TEXTS if text]
    ids, pieces = network.wordpiece.ids, network.wordpiece.pieces
    expected = []
    for document in documents:
        pair = ["[CLS]", *pieces("the cat"), "[SEP]", *pieces(document)]
        expected.append(network.score([ids[each] for each in pair]))
    ranking = model.rerank("the cat", documents)
    assert [each.score for each in ranking] == pytest.approx(expected, abs=0.02)
    best_first = [each.index for each in model.rerank("the cat", documents, sort=True)]
    assert best_first == sorted(range(len(documents)), key=lambda index: -expected[index])


def test_a_reranker_makes_vectors_if_a_pooling_is_named(open_model):
    """Its own would be a score."""
    model = open_model("reranker")
    with pytest.raises(headrace.UnsupportedError, match=r"model\.rerank"):
        model.embed("x")
    network = bert.tiny(gguf.PoolingType.RANK)
    assert cosine(model.embed("a cat", pooling="mean")[0], network.embed("a cat")) > 0.99999


def test_only_rerankers_rank(open_model):
    """The others say what is missing."""
    for kind in ("bert", "attention"):
        model = open_model(kind)
        assert Capability.RERANK not in model.capabilities
        with pytest.raises(headrace.UnsupportedError, match="no reranker"):
            model.rerank("query", ["document"])


def test_the_pair_of_a_query_and_a_document_follows_the_vocabulary(load):
    """BOS only, for the tiny SPM; with a template in the file, the template."""
    vocabulary = load("attention").vocabulary

    def ids(text, special=False):
        return vocabulary.tokenize(text, add_special=False, parse_special=special)

    plain = embedding.rerank_prompt(vocabulary, {}, "the {document}", "an answer")
    assert plain == [tiny_gguf.BOS, *ids("the {document}"), *ids("an answer")]
    template = {"tokenizer.chat_template.rerank": "<s>q: {query}</s>d: {document}"}
    made = embedding.rerank_prompt(vocabulary, template, "the {document}", "{query}")
    assert made == ids("<s>q: the {document}</s>d: {query}", special=True)
    assert made[0] == tiny_gguf.BOS


@pytest.mark.parametrize(
    ("kind", "able"),
    [
        ("bert", {"tokenize", "embed"}),
        ("encoder", {"tokenize", "embed"}),
        ("reranker", {"tokenize", "embed", "rerank"}),
    ],
)
def test_encoders_embed_and_open_no_session(open_model, kind, able):
    """Their capabilities say so."""
    model = open_model(kind)
    assert set(map(str, model.capabilities)) == able
    with pytest.raises(headrace.UnsupportedError, match="encoder"):
        model.open_session()
    assert len(model.embed("a cat", pooling="mean")[0]) > 0


def test_the_vocabulary_alone_makes_no_vectors(load):
    """And says so before llama.cpp is asked."""
    model = load("bert", vocab_only=True)
    assert "vocab_only" in model.embed_hint()
    path = tiny_gguf.path("bert")
    params = ModelParams(vocab_only=True)
    with headrace.load_model(path, backend="llamacpp", params=params) as loaded:
        assert Capability.EMBED not in loaded.capabilities
        with pytest.raises(headrace.UnsupportedError, match="vocab_only"):
            loaded.embed("x")


@pytest.mark.parametrize("kind", ["bert", "attention", "window", "recurrent"])
@pytest.mark.parametrize("pooling", [Pooling.MEAN, Pooling.LAST, Pooling.NONE])
def test_an_interrupted_call_leaves_nothing_behind(open_embedder, kind, pooling):
    """Ended after some nodes of the graph; the same call then has the same vectors."""
    embedder = open_embedder(kind, pooling)
    texts = [[5, 6, 7, 8, 9], [10, 11, 12]][: embedder.info.n_texts]
    expected = embedder.embed(1, texts)
    for number, nodes in enumerate((0, 1, 7, 25)):
        lib.hr_test_interrupt_after(embedder._context, nodes)
        assert embedder.embed(2 * number + 2, texts) is None
        lib.hr_test_interrupt_after(embedder._context, -1)
        assert embedder.embed(2 * number + 3, texts) == expected


@pytest.mark.parametrize("pooling", [Pooling.MEAN, Pooling.NONE])
def test_an_interrupted_short_text_leaves_nothing_behind(open_embedder, pooling):
    """Alone in its call it has a context of its own, which is ended like the other."""
    embedder = open_embedder("bert", pooling)
    alone, together = [[5, 6, 7, 8, 9]], [[10, 11, 12], [5, 6]]
    expected = embedder.embed(1, alone), embedder.embed(2, together)
    for number, nodes in enumerate((0, 1, 7, 25)):
        lib.hr_test_interrupt_after(embedder._context, nodes)
        assert embedder.embed(3 * number + 3, alone) is None
        lib.hr_test_interrupt_after(embedder._context, -1)
        assert embedder.embed(3 * number + 4, together) == expected[1]
        assert embedder.embed(3 * number + 5, alone) == expected[0]


def test_a_short_text_alone_is_computed_without_flash_attention(open_embedder):
    """Where the caller leaves the choice; one that is longer, or not alone, is with it."""
    ours, without, with_it = (
        open_embedder("bert", flash_attention=choice) for choice in (None, False, True)
    )
    short = [list(range(5, 5 + embedding.BRIEF - 1))]
    assert ours.embed(1, short) == without.embed(1, short) != with_it.embed(1, short)
    for number, texts in enumerate(([[*short[0], 5]], [short[0][:5], short[0][:9]]), start=2):
        assert ours.embed(number, texts) == with_it.embed(number, texts)
        assert ours.embed(number + 2, texts) != without.embed(number + 2, texts)


def test_a_short_text_alone_has_the_vector_it_has_among_others(open_embedder):
    """But for its last digits."""
    embedder = open_embedder()
    others = [[9, 8, 7], [20, 21, 22, 23]]
    for length in (1, 2, 30, embedding.BRIEF - 1):
        text = list(range(5, 5 + length))
        (alone,) = embedder.embed(1, [text])
        assert cosine(alone, embedder.embed(2, [text, *others])[0]) > 0.99999


def test_an_interrupt_given_before_the_call_ends_it(embedder):
    """And only that one."""
    embedder.interrupt(2)
    assert embedder.embed(1, [[5]]) is not None
    assert embedder.embed(2, [[5]]) is None
    assert embedder.embed(3, [[5]]) is not None


def test_a_poisoned_context_is_replaced(open_model):
    """What an assertion fails in is used no more; the model goes on."""
    model = open_model("bert")
    expected = list(model.embed(TEXTS))
    slot = model._vectors._embedders._places[Pooling.MEAN]
    assert lib.hr_test_poison(slot.embedder.raw._context, new_report()) == lib.HR_NATIVE_ABORT
    with pytest.raises(headrace.DecodeError) as caught:
        model.embed(TEXTS)
    assert caught.value.poisoned
    assert list(model.embed(TEXTS)) == expected


def test_a_closed_embedder_says_so(load):
    """Closed by itself or by its model, twice."""
    model = load("bert")
    one, other = (model.open_embedder(EngineParams(), Pooling.MEAN) for _ in range(2))
    one.close()
    one.close()
    model.close()
    for embedder in (one, other):
        with pytest.raises(headrace.ClosedError):
            embedder.embed(1, [[5]])
    with pytest.raises(headrace.ClosedError):
        model.open_embedder(EngineParams(), Pooling.MEAN)


def test_memory_that_cannot_be_had_is_an_error(open_model):
    """That of a batch whose attention would take terabytes."""
    model = open_model(
        "attention", n_ubatch=2**20, n_batch=2**20, flash_attention=False, n_ctx=2**20
    )
    with pytest.raises(headrace.ModelMemoryError):
        model.embed("x", pooling="mean")


def test_ctrl_c_ends_it(open_model):
    """In the main thread, with most of the texts not done, and nothing broken."""
    model = open_model(minilm.path(), n_sequences=8)
    texts = ["A rather long sentence about nothing in particular. " * 8] * 400
    expected = model.embed(texts[0])
    done = []

    def press(fraction):
        done.append(fraction)
        if len(done) == 1:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def embedding_again():
        model.embed(texts, progress=press)

    with pytest.raises(KeyboardInterrupt):
        embedding_again()
    assert done[-1] < 0.5
    assert list(model.embed(texts[0])) == list(expected)


def test_a_signal_inside_a_native_call_ends_it():
    """The handler runs while llama.cpp computes, and what it raises comes out."""
    ended = run_script(
        """
        import signal, sys
        from headrace.params import EngineParams
        from headrace.protocols import Pooling
        from headrace_llamacpp import callbacks
        from tests.integration.driving import load_decoder_model
        model = load_decoder_model(sys.argv[1])
        params = EngineParams(n_threads=1, n_ubatch=2048, n_sequences=16)
        embedder = model.open_embedder(params, Pooling.MEAN)
        texts = [[2000] * 128] * 16
        expected = embedder.embed(1, texts)
        assert expected is not None

        def alarm(number, frame):
            raise TimeoutError("now")

        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.06)
        try:
            embedder.embed(2, texts)
        except TimeoutError as error:
            print(error)
        assert embedder.embed(3, texts) == expected
        model.close()
        """,
        minilm.path(),
    )
    assert (ended.code, ended.output, ended.errors) == (0, "now\n", "")


@pytest.mark.parametrize("order", ["model embedder", "embedder model"])
def test_everything_can_be_dropped_in_any_order(order):
    """The collector frees what nobody closed, a context before its model."""
    ended = run_script(
        """
        import gc, sys
        from headrace.params import EngineParams
        from headrace.protocols import Pooling
        from tests.integration.driving import load_decoder_model
        model = load_decoder_model(sys.argv[1])
        embedder = model.open_embedder(EngineParams(n_threads=2), Pooling.CLS)
        embedder.embed(1, [[5, 6, 7]])
        things = {"model": model, "embedder": embedder}
        del model, embedder
        for name in sys.argv[2].split():
            del things[name]
            gc.collect()
        """,
        tiny_gguf.path("bert"),
        order,
    )
    assert (ended.code, ended.output, ended.errors) == (0, "", "")
