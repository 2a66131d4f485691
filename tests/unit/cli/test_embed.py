"""``headrace embed`` and ``headrace rerank``."""

from __future__ import annotations

import json

import pytest

import headrace


@pytest.fixture(scope="module")
def model():
    """The model that the commands load."""
    with headrace.load_model("fake:") as model:
        yield model


def numbers(line):
    """A line of output as floats."""
    return [float(word) for word in line.split()]


def test_each_text_is_a_line_of_numbers(call, model):
    """In the order of the arguments."""
    ended = call("embed", "fake:", "one text", "another")
    assert ended.code == 0
    lines = ended.out.splitlines()
    expected = model.embed(["one text", "another"])
    assert [numbers(line) for line in lines] == [pytest.approx(each) for each in expected]


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_the_lines_of_stdin_are_texts(call, model, arguments):
    """Empty ones are left out."""
    ended = call("embed", "fake:", *arguments, stdin="größer\n\nb c\r\n".encode())
    expected = model.embed(["größer", "b c"])
    assert [numbers(line) for line in ended.out.splitlines()] == [
        pytest.approx(each) for each in expected
    ]


def test_json_has_everything(call, model):
    """Vectors, what they are, and how many tokens were computed."""
    made = json.loads(call("embed", "fake:", "--json", "--pooling", "last", "abc").out)
    expected = model.embed("abc", pooling="last")
    assert made["vectors"] == [pytest.approx(expected[0])]
    assert (made["pooling"], made["n_dimensions"]) == ("last", expected.n_dimensions)
    assert made["usage"]["prompt_tokens"] == 4


def test_the_options_arrive(call, model):
    """Pooling none has a line for each token, and an empty one after each text."""
    out = call("embed", "fake:", "--pooling", "none", "--no-normalize", "ab", "c").out
    first, second, rest = out.split("\n\n")
    expected = model.embed(["ab", "c"], pooling="none", normalize=False)
    for block, vectors in ((first, expected[0]), (second, expected[1])):
        assert [numbers(line) for line in block.splitlines()] == [
            pytest.approx(each, rel=1e-5) for each in vectors
        ]
    assert rest == ""


def test_a_text_that_is_too_long_fails_with_advice_or_is_cut(call):
    """``--n-ctx`` raises the limit."""
    long = "x" * 600
    ended = call("embed", "fake:", long)
    assert ended.code == 1
    assert "601 tokens" in ended.err
    assert "hint: " in ended.err
    assert call("embed", "fake:", "--truncate", long).code == 0
    assert call("embed", "fake:", "--n-ctx", "1000", long).code == 0


def test_nothing_to_embed_is_a_usage_error(call):
    """On a terminal, and with an empty pipe."""
    assert "Missing argument 'TEXT'" in call("embed", "fake:").err
    ended = call("embed", "fake:", stdin=b"\n\n")
    assert ended.code == 2
    assert "stdin has no TEXT" in ended.err


def test_documents_are_listed_best_first(call):
    """Score and text."""
    ended = call("rerank", "fake:", "the cat", "a dog", "the cat sat", "the dog")
    assert ended.code == 0
    assert [line.split(maxsplit=1) for line in ended.out.splitlines()] == [
        ["1.0000", "the cat sat"],
        ["0.5000", "the dog"],
        ["0.0000", "a dog"],
    ]


def test_a_ranking_as_json_refers_to_the_documents_by_number(call):
    """Those of stdin, too."""
    ended = call("rerank", "fake:", "--json", "the cat", stdin=b"a dog\nthe cat\n")
    made = json.loads(ended.out)
    assert made["documents"] == [{"index": 1, "score": 1.0}, {"index": 0, "score": 0.0}]
    assert made["usage"]["prompt_tokens"] > 0
