"""Vectors, scores, and text to tokens and back."""

from __future__ import annotations

import base64
import struct

import pytest

import headrace
from tests.server.asking import refused


@pytest.fixture(scope="module")
def client(serve_all):
    """A client of the fake, which can do everything."""
    with serve_all("fake:").client() as client:
        yield client


@pytest.fixture(scope="module")
def model():
    """The same model, asked directly."""
    with headrace.load_model("fake:") as model:
        yield model


def ask(client, path, **fields):
    """The answer to a request that succeeds."""
    response = client.post(path, json=fields)
    assert response.status_code == 200, response.text
    return response.json()


def test_vectors_are_those_of_the_model(client, model):
    """In the order of the texts, with the tokens counted."""
    found = ask(client, "/v1/embeddings", input=["mill", "weir"])
    direct = model.embed(["mill", "weir"])
    assert [each["index"] for each in found["data"]] == [0, 1]
    assert [each["embedding"] for each in found["data"]] == direct.vectors
    assert found["usage"]["prompt_tokens"] == direct.usage.prompt_tokens
    assert found["object"] == "list"


def test_one_text_and_token_ids(client, model):
    """As OpenAI takes them."""
    ids = model.tokenize("mill")
    for given in ("mill", ids, [ids]):
        (one,) = ask(client, "/v1/embeddings", input=given)["data"]
        assert one["embedding"] == model.embed("mill").vectors[0]


def test_base64_are_the_same_numbers(client):
    """As float32, little-endian."""
    plain = ask(client, "/v1/embeddings", input="mill")["data"][0]["embedding"]
    coded = ask(client, "/v1/embeddings", input="mill", encoding_format="base64")
    data = base64.b64decode(coded["data"][0]["embedding"])
    assert struct.unpack(f"<{len(plain)}f", data) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input": []}, "input"),
        ({"input": ["a", 3]}, "input[1]"),
        ({"input": "a", "dimensions": 3}, "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": ["a", "b" * 100_000]}, "input[1]"),
    ],
)
def test_wrong_texts_are_refused_by_name(client, fields, named):
    """Also one that is too long among many."""
    refused(client.post("/v1/embeddings", json=fields), named)


def test_documents_come_best_first(client, model):
    """With their places, scores, and texts where they are wanted."""
    documents = ["a weir", {"text": "a mill"}, "a lake"]
    for path in ("/v1/rerank", "/rerank"):
        found = ask(client, path, query="mill", documents=documents, return_documents=True)
        scores = [each["relevance_score"] for each in found["results"]]
        assert scores == sorted(scores, reverse=True)
        direct = model.rerank("mill", ["a weir", "a mill", "a lake"])
        for each in found["results"]:
            assert each["relevance_score"] == direct[each["index"]].score
            assert each["document"]["text"] == ["a weir", "a mill", "a lake"][each["index"]]
        assert found["usage"]["total_tokens"] == direct.usage.prompt_tokens
    assert len(ask(client, "/rerank", query="a", documents=["b", "c"], top_n=1)["results"]) == 1


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"query": "a", "documents": []}, "documents"),
        ({"query": "a", "documents": ["b"], "top_n": 0}, "top_n"),
    ],
)
def test_wrong_documents_are_refused_by_name(client, fields, named):
    """As everywhere."""
    refused(client.post("/v1/rerank", json=fields), named)


def test_a_text_has_tokens_and_they_have_a_text(client, model):
    """With special tokens around a ``prompt``, and none around a ``content``."""
    found = ask(client, "/tokenize", prompt="a mill")
    assert found["tokens"] == model.tokenize("a mill", parse_special=True)
    assert found["count"] == len(found["tokens"])
    bare = ask(client, "/tokenize", prompt="a mill", add_special_tokens=False)
    assert bare["tokens"] == ask(client, "/tokenize", content="a mill")["tokens"]
    assert ask(client, "/detokenize", tokens=bare["tokens"]) == {
        "content": "a mill",
        "prompt": "a mill",
    }


def test_pieces_are_text_or_bytes(client):
    """A part of a character is given as numbers."""
    found = ask(client, "/tokenize", content="é", with_pieces=True)
    pieces = [each["piece"] for each in found["tokens"]]
    data = b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in pieces)
    assert data == "é".encode()


def test_special_tokens_can_be_left_as_text(client):
    """``parse_special`` says whether a text may have them."""
    read = ask(client, "/tokenize", content="<eos>")["tokens"]
    plain = ask(client, "/tokenize", content="<eos>", parse_special=False)["tokens"]
    assert len(read) < len(plain)


@pytest.mark.parametrize(
    ("path", "fields", "named"),
    [
        ("/tokenize", {}, "content"),
        ("/tokenize", {"content": "a", "prompt": "a"}, "content"),
        ("/detokenize", {"tokens": [1, 10**9]}, "tokens[1]"),
    ],
)
def test_wrong_tokens_are_refused_by_name(client, path, fields, named):
    """As everywhere."""
    refused(client.post(path, json=fields), named)
