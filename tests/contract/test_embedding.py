"""Vectors for texts: the same promises on every backend."""

from __future__ import annotations

import math
import pickle

import anyio
import pytest

import headrace

TEXTS = ["the cat sat on the mat", "a", "words and more words, and then some", "the cat", ""]
POOLINGS = ["mean", "cls", "last"]


def near(vector):
    """Batches of other sizes are computed with other kernels: the last bits differ."""
    return pytest.approx(vector, abs=2e-3)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_several_texts_have_the_vectors_that_each_has_alone(model, pooling):
    """In the order of the texts, whatever shares a native call."""
    together = model.embed(TEXTS, pooling=pooling)
    assert len(together) == len(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert vector == near(model.embed(text, pooling=pooling)[0])


@pytest.mark.parametrize("engine", [{"n_sequences": 1}, {"n_sequences": 3}, {"n_ubatch": 40}])
def test_how_texts_are_divided_among_calls_changes_no_vector(target, model, engine):
    """One at a time, a few, or as many as a small batch takes."""
    texts = [f"text number {number}" for number in range(7)]
    expected = model.embed(texts, pooling="mean")
    with target.load(**engine) as other:
        for vector, one in zip(other.embed(texts, pooling="mean"), expected, strict=True):
            assert vector == near(one)


def test_equal_texts_have_equal_vectors_and_others_do_not(model):
    """Within one call and between calls: nothing is left in memory."""
    first = model.embed(["abc", "xyz", "abc"], pooling="last")
    again = model.embed(["abc", "xyz", "abc"], pooling="last")
    assert first[0] == near(first[2])
    assert first[0] != near(first[1])
    assert list(first) == list(again)


def test_a_vector_has_length_one_unless_it_is_wanted_as_it_is(model):
    """Normalizing changes the length and nothing else."""
    plain = model.embed("some text", pooling="mean", normalize=False)[0]
    unit = model.embed("some text", pooling="mean")[0]
    length = math.hypot(*plain)
    assert math.hypot(*unit) == pytest.approx(1.0)
    assert length != pytest.approx(1.0)
    assert unit == pytest.approx([number / length for number in plain])


def test_pooled_vectors_follow_from_those_of_the_tokens(model):
    """Their mean, the first, the last."""
    text = "the quick brown fox"
    tokens = model.embed(text, pooling="none", normalize=False)[0]
    assert len(tokens) == len(model.tokenize(text))
    mean = [math.fsum(column) / len(tokens) for column in zip(*tokens, strict=True)]
    for pooling, expected in (("mean", mean), ("cls", tokens[0]), ("last", tokens[-1])):
        vector = model.embed(text, pooling=pooling, normalize=False)[0]
        assert vector == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_token_ids_are_texts_too(model):
    """A flat list is one text, a list of lists several."""
    ids = [model.tokenize(text) for text in TEXTS[:2]]
    expected = model.embed(TEXTS[:2], pooling="mean")
    assert list(model.embed(ids, pooling="mean")) == list(expected)
    assert model.embed(ids[0], pooling="mean")[0] == near(expected[0])


def test_the_result_says_what_was_computed(model):
    """Tokens, pooling, dimensions; and it can be pickled."""
    made = model.embed(TEXTS, pooling="mean")
    assert made.usage.prompt_tokens == sum(len(model.tokenize(text)) for text in TEXTS)
    assert made.pooling == "mean"
    assert {len(vector) for vector in made} == {made.n_dimensions}
    assert pickle.loads(pickle.dumps(made)).vectors == made.vectors


def test_no_texts_have_no_vectors(model):
    """Which is no error."""
    assert list(model.embed([], pooling="mean")) == []


def test_arrays_hold_the_same_numbers(model):
    """One of two dimensions, or with a vector for each token a list of them."""
    numpy = pytest.importorskip("numpy")
    array = model.embed(TEXTS, pooling="mean", as_array=True).vectors
    assert array.dtype == numpy.float32
    assert array == pytest.approx(numpy.array(model.embed(TEXTS, pooling="mean").vectors), abs=1e-5)
    tokens = model.embed(TEXTS, pooling="none", as_array=True)
    assert [len(each) for each in tokens] == [len(model.tokenize(text)) for text in TEXTS]
    assert tokens[1] == pytest.approx(numpy.array(model.embed(TEXTS, pooling="none")[1]), abs=1e-5)
    nothing = model.embed([], pooling="mean", as_array=True)
    assert nothing.vectors.shape == (0, nothing.n_dimensions)


def test_a_text_that_is_too_long_says_so_or_is_cut(target):
    """The message has both numbers; a cut keeps the special tokens around the text."""
    with target.load(n_ubatch=32) as model:
        text = "x" * 100
        count = len(model.tokenize(text))
        with pytest.raises(headrace.ContextFullError, match=rf"texts\[1\] has {count} .* 32"):
            model.embed(["short", text], pooling="mean")
        cut = model.embed(text, pooling="mean", truncate=True)
        assert cut.usage.prompt_tokens == 32
        assert cut[0] == near(model.embed(model.tokenize(text)[:32], pooling="mean")[0])


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        (7, {}, "texts must be"),
        (b"bytes", {}, "texts must be"),
        (["fine", None], {}, r"texts\[1\]"),
        (["fine", []], {}, r"texts\[1\] is a list of token ids without one"),
        ("x", {"pooling": "max"}, "pooling must be"),
        ("x", {"pooling": "rank"}, "pooling must be"),
        ("x", {"normalize": 1}, "normalize must be"),
        ("x", {"truncate": None}, "truncate must be"),
        ("x", {"as_array": "yes"}, "as_array must be"),
    ],
)
def test_wrong_arguments_are_refused_by_name(model, texts, options, said):
    """Before anything is computed."""
    with pytest.raises(headrace.ParamsError, match=said):
        model.embed(texts, **{"pooling": "mean", **options})


def test_texts_that_have_no_tokens_in_the_vocabulary_are_refused(model):
    """Lone surrogates and foreign ids."""
    with pytest.raises(headrace.TokenizeError, match="surrogate"):
        model.embed("\ud800", pooling="mean")
    with pytest.raises(headrace.TokenizeError, match="outside the vocabulary"):
        model.embed([[1, model.info.n_vocab]], pooling="mean")


def test_progress_ends_at_all_of_it(target):
    """Told after every native call."""
    with target.load(n_sequences=2) as model:
        told = []
        model.embed(["a", "b", "c", "d", "e"], pooling="mean", progress=told.append)
    assert len(told) >= 3
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_sessions_and_vectors_do_not_disturb_each_other(model, session, greedy):
    """They have contexts of their own."""
    expected = model.open_session().complete("Hello", sampling=greedy, max_tokens=12).tokens
    first = session.complete("Hello", sampling=greedy, max_tokens=6).tokens
    model.embed(TEXTS, pooling="mean")
    rest = session.complete(None, sampling=greedy, max_tokens=6).tokens
    assert first + rest == expected


def test_tasks_embed_too(model):
    """Several at once, with the same vectors."""
    expected = list(model.embed(TEXTS, pooling="mean"))
    found = {}

    async def one(index):
        found[index] = (await model.aembed(TEXTS[index], pooling="mean"))[0]

    async def main():
        async with anyio.create_task_group() as group:
            for index in range(len(TEXTS)):
                group.start_soon(one, index)

    anyio.run(main)
    for index, vector in found.items():
        assert vector == near(expected[index])
    assert len(found) == len(TEXTS)


def test_threads_embed_too(model):
    """They take turns; each gets its own."""
    from concurrent.futures import ThreadPoolExecutor

    texts = [f"thread {number} says {number * 7}" for number in range(8)]
    expected = list(model.embed(texts, pooling="mean"))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: model.embed(text, pooling="mean")[0], texts))
    for vector, one in zip(found, expected, strict=True):
        assert vector == near(one)


def test_a_closed_model_embeds_nothing(target):
    """Whether or not it did before."""
    model = target.load()
    model.embed("x", pooling="mean")
    model.close()
    with pytest.raises(headrace.ClosedError):
        model.embed("x", pooling="mean")
