"""``POST /v1/chat/completions``, whole answers."""

from __future__ import annotations

import pytest

import headrace
from headrace_server import ModelSpec
from tests.server.asking import ADD, CHAT, HELLO, answer, chat, refused


@pytest.fixture(scope="module")
def client(serve_all):
    """A client of a model that says hello."""
    with serve_all("fake:Hello world").client() as client:
        yield client


def scripted(serve, script, **changes):
    """A client of a model that writes this."""
    return serve(f"fake:{script}", **changes).client()


def test_an_answer_has_what_openais_has(client):
    """The model's text, why it ended, and the tokens counted."""
    found = answer(client)
    assert found["object"] == "chat.completion"
    assert found["id"].startswith("chatcmpl-")
    choice = found["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Hello world"}
    assert choice["finish_reason"] == "stop"
    assert choice["logprobs"] is None
    usage = found["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}
    assert found["timings"]["predicted_n"] == usage["completion_tokens"]


def test_the_path_without_a_version_answers_too(client):
    """As llama-server's does."""
    response = client.post("/chat/completions", json={"messages": HELLO})
    assert response.json()["choices"][0]["message"]["content"] == "Hello world"


def test_a_next_turn_finds_what_was_computed(client):
    """The tokens of the turn before are cached."""
    first = answer(client)
    turns = [*HELLO, first["choices"][0]["message"], {"role": "user", "content": "And?"}]
    usage = answer(client, messages=turns)["usage"]
    known = first["usage"]["prompt_tokens"] + len("Hello world")
    assert usage["prompt_tokens_details"]["cached_tokens"] >= known


def test_text_parts_are_one_text(client):
    """A list of parts is rendered like their text."""
    parts = [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]
    found = answer(client, messages=[{"role": "user", "content": parts}])
    assert (
        found["usage"]["prompt_tokens"]
        == answer(client, messages=[{"role": "user", "content": "H\ni"}])["usage"]["prompt_tokens"]
    )


def test_a_part_that_is_no_text_is_refused_by_its_place(client):
    """Images are not supported, and that is said."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    response = chat(client, messages=[{"role": "user", "content": [part]}])
    error = refused(response, "messages[0].content[0]")
    assert "images" in error["message"]


def test_max_tokens_ends_with_length(client):
    """Under both of its names."""
    for name in ("max_tokens", "max_completion_tokens"):
        found = answer(client, **{name: 3})
        assert found["choices"][0]["message"]["content"] == "Hel"
        assert found["choices"][0]["finish_reason"] == "length"


def test_a_full_context_ends_with_length(serve):
    """The answer that there was room for is delivered."""
    with serve("fake:#mean_length=0&n_ctx=64").client() as client:
        found = answer(client)
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["usage"]["total_tokens"] >= 64


def test_a_stop_string_ends_it_and_is_not_in_the_text(client):
    """As one string or a list."""
    for stop in (" w", ["nothing", " w"]):
        choice = answer(client, stop=stop)["choices"][0]
        assert choice["message"]["content"] == "Hello"
        assert choice["finish_reason"] == "stop"


def test_tools_are_called(serve):
    """The call comes apart from the text, with a name that the answer to it can use."""
    script = 'Well.<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
    with scripted(serve, script) as client:
        choice = answer(client, tools=[ADD])["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        message = choice["message"]
        assert message["content"] == "Well."
        (call,) = message["tool_calls"]
        assert call["type"] == "function"
        assert call["function"] == {"name": "add", "arguments": '{"a": 1, "b": 2}'}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "3"}
        answer(client, tools=[ADD], messages=[*HELLO, message, result])


def test_a_call_without_text_has_no_content(serve):
    """``content`` is null then, as OpenAI's is."""
    script = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
    with scripted(serve, script) as client:
        assert answer(client, tools=[ADD])["choices"][0]["message"]["content"] is None


def test_a_call_that_cannot_be_read_is_content_with_a_note(serve):
    """Nothing is lost, and it is no failure of the server."""
    script = "Well. <tool_call>{add}</tool_call>"
    with scripted(serve, script) as client:
        message = answer(client, tools=[ADD])["choices"][0]["message"]
    assert message["content"] == script
    assert message["unread"] is True
    assert "could not be read" in message["note"]
    assert "tool_calls" not in message


def test_a_history_with_a_broken_call_is_refused_by_its_place(client):
    """It is the request's fault, so no 500."""
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": '}}
    turns = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}]
    refused(chat(client, messages=turns), "messages[1].tool_calls[0].arguments")


def test_thoughts_come_apart(serve):
    """As ``reasoning_content``."""
    with scripted(serve, "<think>Hm.</think>Yes.") as client:
        message = answer(client)["choices"][0]["message"]
    assert message["reasoning_content"] == "Hm."
    assert message["content"] == "Yes."


def test_a_schema_holds_the_answer(serve):
    """``json_schema`` and ``json_object`` with a schema; a script that breaks it is an error."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    with scripted(serve, '{"a": 1}') as client:
        for wanted in (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
            {"type": "json_object", "schema": schema},
            {"type": "json_object"},
            {"type": "text"},
        ):
            found = answer(client, response_format=wanted)
            assert found["choices"][0]["message"]["content"] == '{"a": 1}'


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 101}, "top_logprobs"),
        ({"tools": [ADD], "grammar": 'root ::= "a"'}, "grammar"),
        ({"grammar": "root ::= ("}, "grammar"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"repetition_penalty": -1}, "repetition_penalty"),
        ({"seed": -5}, "seed"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"7": True}}, "logit_bias"),
        ({"stop": [""]}, "stop"),
        ({"functions": [{"name": "add"}]}, "functions"),
        ({"audio": {"voice": "a"}}, "audio"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"reasoning_format": "none"}, "reasoning_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [{**ADD, "type": "retrieval"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role"),
        ({"chat_template_kwargs": {"enable_thinking": 3}}, "chat_template_kwargs.enable_thinking"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(client, fields, named):
    """The message begins with the field as the request spells it, and ``param`` is the same."""
    refused(chat(client, **fields), named)


def test_words_of_python_are_said_in_json(client):
    """A client that writes JSON is told about null, not None."""
    error = refused(chat(client, chat_template_kwargs={"enable_thinking": 3}))
    assert "true or false" in error["message"]


def test_unknown_fields_are_passed_over(client):
    """OpenAI's clients send some of their own."""
    answer(client, user="me", metadata={"a": "b"}, something_new=[1])


def test_null_is_the_same_as_nothing(client):
    """For every field that may be left out."""
    fields = ("temperature", "max_tokens", "n", "stop", "tools", "seed", "logprobs", "stream")
    answer(client, **dict.fromkeys(fields))


def test_logprobs_have_each_token_of_the_text(client):
    """With the bytes and the alternatives; not the one that ended it."""
    choice = answer(client, logprobs=True, top_logprobs=2)["choices"][0]
    content = choice["logprobs"]["content"]
    assert "".join(each["token"] for each in content) == "Hello world"
    for each in content:
        assert each["bytes"] == list(each["token"].encode())
        assert each["logprob"] <= 0
        assert len(each["top_logprobs"]) == 2
    assert choice["logprobs"]["refusal"] is None


def test_several_answers_compute_the_prompt_once(serve):
    """They differ by their seeds, and the prompt is counted once."""
    with serve("fake:#seed=3&mean_length=8").client() as client:
        found = answer(client, n=3, seed=5, temperature=1.0)
        alone = answer(client, seed=5, temperature=1.0)
    texts = [each["message"]["content"] for each in found["choices"]]
    assert [each["index"] for each in found["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert texts[0] == alone["choices"][0]["message"]["content"]
    assert found["usage"]["prompt_tokens"] == alone["usage"]["prompt_tokens"]
    assert found["timings"]["prompt_n"] < 2 * found["usage"]["prompt_tokens"]


def test_a_seed_gives_the_same_again(serve):
    """And another one another text."""
    with serve("fake:#seed=3").client() as client:
        texts = [
            answer(client, seed=seed, temperature=1.0)["choices"][0]["message"]["content"]
            for seed in (1, 1, 2)
        ]
    assert texts[0] == texts[1] != texts[2]


def test_what_a_backend_lacks_is_refused_by_the_name_in_the_request(client):
    """The fake knows no biases; the message says so of the request's own field."""
    error = refused(chat(client, logit_bias={"72": -100}), "logit_bias")
    assert error["code"] == "unsupported"


def test_a_prompt_that_is_too_long_has_both_numbers(serve):
    """In the message and in the error."""
    with serve("fake:#n_ctx=64").client() as client:
        error = refused(chat(client, messages=[{"role": "user", "content": "x" * 100}]))
    assert error["code"] == "context_length_exceeded"
    assert error["n_ctx"] == 64
    assert error["n_prompt_tokens"] > 100
    assert "64" in error["message"]
    assert str(error["n_prompt_tokens"]) in error["message"]


def test_a_request_out_of_time_is_an_error(serve):
    """Nothing is cut silently."""
    listening = serve("fake:#mean_length=0&delay=0.01&n_ctx=100000", request_timeout=0.3)
    with listening.client() as client:
        error = refused(chat(client), status=504)
    assert error["code"] == "request_timeout"


def test_a_step_that_fails_is_an_error(serve):
    """With the status of the table."""
    with serve("fake:Hello#fault_at=1").client() as client:
        error = refused(chat(client), status=500)
    assert error["code"] == "decode_failed"


def test_what_recommends_the_model_is_the_default(serve):
    """And what the request says goes before it."""
    listening = serve("fake:#seed=3&mean_length=30")
    with listening.client() as client:
        answer(client)
        place = listening.state.registry.place(None)
        place.served.recommended = headrace.SamplingParams(temperature=0)
        greedy = {answer(client)["choices"][0]["message"]["content"] for _ in range(3)}
        free = {
            answer(client, temperature=5, min_p=0)["choices"][0]["message"]["content"]
            for _ in range(3)
        }
    assert len(greedy) == 1
    assert len(free) > 1


def test_models_are_chosen_by_name(serve):
    """A name that there is not is a 404 that lists those that there are."""
    specs = [ModelSpec(name=each, reference=f"fake:I am {each}") for each in ("a", "b")]
    with serve(specs).client() as client:
        assert answer(client, model="b")["choices"][0]["message"]["content"] == "I am b"
        error = refused(chat(client, model="c"), "model", 404)
    assert error["code"] == "model_not_found"
    assert "a, b" in error["message"]


def test_only_post_is_answered(client):
    """GET is a 405."""
    assert client.get(CHAT).status_code == 405
