"""``POST /v1/completions``: prompts of all kinds, echo, log-probabilities, streams."""

from __future__ import annotations

import json

import pytest

import headrace
from headrace_server import ModelSpec
from tests.server.asking import events, refused

PATH = "/v1/completions"
TEXT = "the old mill"


@pytest.fixture(scope="module")
def client(serve_all):
    """A client of a model whose words depend on all that it has read."""
    with serve_all("fake:#seed=7&mean_length=60").client() as client:
        yield client


def complete(client, prompt=TEXT, **fields):
    """The answer to a request that succeeds."""
    response = client.post(PATH, json={"prompt": prompt, "temperature": 0, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def text(found, index=0):
    """What was written."""
    return found["choices"][index]["text"]


@pytest.fixture(scope="module")
def model():
    """The same model, asked directly."""
    with headrace.load_model("fake:#seed=7&mean_length=60") as model:
        yield model


@pytest.fixture(scope="module")
def direct(model):
    """What it writes."""
    with model.open_session() as session:
        return session.complete(TEXT, sampling=headrace.SamplingParams(temperature=0)).text


def test_a_text_is_continued(client, direct):
    """With the tokens counted."""
    found = complete(client)
    assert found["object"] == "text_completion"
    assert found["id"].startswith("cmpl-")
    assert text(found) == direct
    assert found["choices"][0]["finish_reason"] == "stop"
    usage = found["usage"]
    assert usage["prompt_tokens"] >= len(TEXT)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert found["timings"]["predicted_n"] == usage["completion_tokens"]


def test_token_ids_are_the_same(client, model, direct):
    """Nothing is added to them."""
    assert text(complete(client, model.tokenize(TEXT))) == direct


def test_several_prompts_have_answers_in_their_order(client, model, direct):
    """Texts, or lists of ids; tokens are counted over all."""
    for prompts in ([TEXT, "another"], [model.tokenize(TEXT), model.tokenize("another")]):
        found = complete(client, prompts, n=2)
        assert [each["index"] for each in found["choices"]] == [0, 1, 2, 3]
        assert text(found, 0) == text(found, 1) == direct
        assert text(found, 2) == text(found, 3) == text(complete(client, "another"))
        assert found["usage"]["prompt_tokens"] == sum(
            complete(client, each)["usage"]["prompt_tokens"] for each in prompts
        )


def test_what_was_computed_is_found_again(client):
    """By a longer prompt that begins with it."""
    complete(client, "once upon a time", max_tokens=1)
    usage = complete(client, "once upon a time there was", max_tokens=1)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= len("once upon a time") - 1


def test_max_tokens_and_stop(client, direct):
    """End with ``length`` and ``stop``."""
    found = complete(client, max_tokens=2)
    assert found["choices"][0]["finish_reason"] == "length"
    assert direct.startswith(text(found))
    stop = direct[3:5]
    found = complete(client, stop=[stop])
    assert text(found) == direct[: direct.index(stop)]
    assert found["choices"][0]["finish_reason"] == "stop"


def test_echo_puts_the_prompt_before_the_answer(client, model, direct):
    """As text, also where it came as ids."""
    assert text(complete(client, echo=True)) == TEXT + direct
    ids = model.tokenize(TEXT, add_special=False)
    assert text(complete(client, ids, echo=True)).startswith(TEXT)


def test_what_an_evaluation_harness_asks_for_equals_the_score(client, model):
    """Ids in a list, one new token, echo: the prompt's log-probabilities to 1e-4."""
    ids = model.tokenize(TEXT)
    with model.open_session() as session:
        score = session.score(ids, top=1)
    for prompt in ([ids], ids):
        found = complete(client, prompt, max_tokens=1, logprobs=1, echo=True)
        logprobs = found["choices"][0]["logprobs"]
        assert len(logprobs["token_logprobs"]) == len(ids) + 1
        assert logprobs["token_logprobs"][0] is logprobs["top_logprobs"][0] is None
        for index in range(1, len(ids)):
            assert logprobs["token_logprobs"][index] == pytest.approx(
                score.logprobs[index], abs=1e-4
            )
            top = logprobs["top_logprobs"][index]
            assert max(top.values()) == pytest.approx(score.top[index][0][1], abs=1e-4)
            assert top[logprobs["tokens"][index]] == logprobs["token_logprobs"][index]


def test_token_ids_are_scored_without_writing(client, model):
    """With ``max_tokens`` 0, and again: what was scored stays in nobody's way."""
    ids = model.tokenize(TEXT)
    for _ in range(2):
        found = complete(client, [ids, ids], max_tokens=0, logprobs=0, echo=True)
        for choice in found["choices"]:
            assert len(choice["logprobs"]["token_logprobs"]) == len(ids)
            assert choice["logprobs"]["top_logprobs"] is None


def test_offsets_say_where_tokens_begin(client):
    """In the text of the answer, the echo included."""
    found = complete(client, logprobs=2, max_tokens=4, echo=True, add_special_tokens=False)
    choice = found["choices"][0]
    logprobs = choice["logprobs"]
    for token, offset in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
        if not token.startswith("<"):  # a control token has no place in the text
            assert choice["text"][offset:].startswith(token)


def test_a_suffix_is_filled_up_to(serve):
    """Or refused by a model that cannot."""
    with serve("fake:a + b").client() as client:
        found = complete(client, "def add(a, b):\n    return ", suffix="\n", n=2)
        assert [each["text"] for each in found["choices"]] == ["a + b", "a + b"]


def test_a_schema_holds_the_text(client):
    """As ``json_schema``."""
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    assert set(json.loads(text(complete(client, json_schema=schema)))) >= {"a"}


def stream(client, **fields):
    """The chunks of a stream that ends as it should."""
    body = {"prompt": TEXT, "temperature": 0, "stream": True, **fields}
    found = events(client.post(PATH, json=body))
    assert found[-1] == "[DONE]"
    return found[:-1]


def test_a_stream_is_the_same_in_pieces(client, direct):
    """With one finish for each answer, and usage where it was asked for."""
    chunks = stream(client, stream_options={"include_usage": True}, n=2)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        **complete(client, n=2)["usage"],
        "prompt_tokens_details": chunks[-1]["usage"]["prompt_tokens_details"],
    }
    for index in (0, 1):
        mine = [c for chunk in chunks for c in chunk["choices"] if c["index"] == index]
        assert "".join(each["text"] for each in mine) == direct
        assert [each["finish_reason"] for each in mine] == [None] * (len(mine) - 1) + ["stop"]


def test_a_stream_echoes_with_logprobs(client):
    """Their lists, one after the other, are those of a whole answer."""
    fields = {"echo": True, "logprobs": 1, "max_tokens": 3}
    whole = complete(client, **fields)["choices"][0]
    chunks = stream(client, **fields)
    found = [each["choices"][0]["logprobs"] for each in chunks]
    for name in ("tokens", "token_logprobs", "text_offset"):
        together = [value for each in found if each for value in each[name]]
        assert together == whole["logprobs"][name]
    assert "".join(each["choices"][0]["text"] for each in chunks) == whole["text"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": ["a", ""]}, "prompt[1]"),
        ({"prompt": ["a", 3]}, "prompt[1]"),
        ({"prompt": [10**9]}, "prompt[0]"),
        ({"prompt": [[1, -1]]}, "prompt[0][1]"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 1000}, "logprobs"),
        ({"suffix": "b", "echo": True}, "echo"),
        ({"json_schema": {"type": 3}}, "json_schema"),
        ({"json_schema": {}, "grammar": 'root ::= "a"'}, "json_schema"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"n": 1000}, "n"),
        ({"temperature": -1}, "temperature"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(client, fields, named):
    """The message begins with the field."""
    refused(client.post(PATH, json={"prompt": TEXT, **fields}), named)


def test_a_prompt_that_is_too_long_has_both_numbers(serve):
    """The tokens of the prompt alone, whatever the session knew before."""
    spec = ModelSpec(
        name="small", reference="fake:Hello", engine=headrace.EngineParams(n_ctx=64, n_sequences=1)
    )
    with serve(spec).client() as client:
        complete(client, "x" * 20)
        error = refused(client.post(PATH, json={"prompt": "x" * 100}))
    assert error["code"] == "context_length_exceeded"
    assert error["n_ctx"] == 64
    assert 100 <= error["n_prompt_tokens"] <= 101
