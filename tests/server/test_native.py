"""llama-server's own interface, on the fake."""

from __future__ import annotations

import json
import math

import pytest

import headrace
from headrace_server.endpoints.native.requests import Generating, sampling_of

SCRIPT = "fake:The race carries water."


@pytest.fixture
def client(serve):
    """A client of one server with a scripted model."""
    with serve(SCRIPT).client() as client:
        yield client


def streamed(client, path="/completion", **body):
    """The values of a stream's events."""
    with client.stream("POST", path, json={**body, "stream": True}) as answer:
        assert answer.status_code == 200, answer.read()
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.mark.parametrize("path", ["/completion", "/completions"])
def test_a_prompt_is_completed(client, path):
    """The answer has llama-server's fields, and numbers that agree with each other."""
    body = client.post(path, json={"prompt": "Hi", "temperature": 0}).json()
    assert body["content"] == "The race carries water."
    assert (body["stop"], body["stop_type"], body["truncated"]) == (True, "eos", False)
    assert body["tokens"] == []
    assert body["tokens_evaluated"] == body["timings"]["prompt_n"] == 3
    assert body["tokens_predicted"] == body["timings"]["predicted_n"] > 20
    assert body["generation_settings"]["temperature"] == 0
    assert body["generation_settings"]["n_predict"] == -1
    assert body["model"] == SCRIPT
    assert "Hi" in body["prompt"]


def test_a_stream_has_the_same_text(client):
    """Parts first, and the whole without its text at the end; no further mark."""
    *parts, last = streamed(client, prompt="Hi")
    assert "".join(part["content"] for part in parts) == "The race carries water."
    assert not any(part["stop"] for part in parts)
    assert all(part["tokens"] for part in parts)
    assert (last["stop"], last["content"]) == (True, "")


def test_tokens_are_returned_if_asked_for(client):
    """Their number is the one that was counted."""
    body = client.post("/completion", json={"prompt": "Hi", "return_tokens": True}).json()
    assert len(body["tokens"]) == body["tokens_predicted"]


@pytest.mark.parametrize("field", ["n_predict", "max_tokens", "max_completion_tokens"])
def test_a_limit_ends_it(client, field):
    """Any of the names will do."""
    body = client.post("/completion", json={"prompt": "Hi", field: 4}).json()
    assert (body["content"], body["stop_type"]) == ("The ", "limit")
    assert body["generation_settings"]["n_predict"] == 4


def test_a_stop_string_is_named(client):
    """It is not part of the text."""
    body = client.post("/completion", json={"prompt": "Hi", "stop": ["", " carries"]}).json()
    assert (body["content"], body["stop_type"]) == ("The race", "word")
    assert body["stopping_word"] == " carries"


def test_no_tokens_only_compute_the_prompt(client):
    """As with llama-server, the next request finds it."""
    assert (
        client.post("/completion", json={"prompt": "Hello", "n_predict": 0}).json()["content"] == ""
    )
    body = client.post("/completion", json={"prompt": "Hello", "n_predict": 1}).json()
    assert body["timings"]["cache_n"] == 5


def test_what_was_computed_is_found_again(client):
    """A longer prompt computes what is new alone; another one gets the answer of its own."""
    client.post("/completion", json={"prompt": "One two three"})
    body = client.post("/completion", json={"prompt": "One two three, four"}).json()
    assert body["timings"]["cache_n"] == 14
    assert body["timings"]["prompt_n"] == 6
    assert body["content"] == "The race carries water."


def test_several_prompts_have_several_answers(client):
    """In their order, each by itself; more of them than there are sequences."""
    prompts = [f"Prompt {number}" for number in range(20)]
    bodies = client.post("/completion", json={"prompt": prompts, "n_predict": 3}).json()
    assert [body["index"] for body in bodies] == list(range(20))
    assert all(body["content"] == "The" for body in bodies)
    assert all(prompts[at] in body["prompt"] for at, body in enumerate(bodies))


def test_several_prompts_are_streamed_together(client):
    """Their parts tell them apart."""
    texts = {}
    for body in streamed(client, prompt=["A", "B"], n_predict=8):
        texts[body["index"]] = texts.get(body["index"], "") + body["content"]
    assert texts == {0: "The race", 1: "The race"}


def test_prompts_may_be_mixed(client):
    """Token ids and texts in one prompt are one after the other; objects hold texts."""
    ids = list(b"Hel")
    body = client.post("/completion", json={"prompt": [*ids, "lo"], "n_predict": 1}).json()
    assert body["prompt"] == "Hello"
    body = client.post(
        "/completion", json={"prompt": {"prompt_string": "Hi"}, "n_predict": 1}
    ).json()
    assert body["prompt"].endswith("Hi")


def test_n_answers_begin_alike(serve):
    """The prompt is computed once, each answer has a seed of its own, and so its own text."""
    with serve("fake:#seed=3").client() as client:
        answers = client.post(
            "/completion",
            json={"prompt": "Hi", "n": 3, "seed": 5, "n_predict": 30, "temperature": 2},
        ).json()
    assert [answer["index"] for answer in answers] == [0, 1, 2]
    assert len({answer["content"] for answer in answers}) == 3


def test_more_answers_than_sequences_are_refused(client):
    """With the number that there are."""
    answer = client.post("/completion", json={"prompt": "Hi", "n_cmpl": 9})
    assert answer.status_code == 400
    assert "8 sequences" in answer.json()["error"]["message"]


def test_probabilities(client):
    """Each token has its own and those of the likeliest."""
    asked = {"prompt": "Hi", "n_probs": 2, "n_predict": 3}
    body = client.post("/completion", json=asked).json()
    first = body["completion_probabilities"][0]
    assert len(body["completion_probabilities"]) == 3
    assert (first["token"], first["bytes"]) == ("T", [84])
    assert first["logprob"] <= 0
    assert len(first["top_logprobs"]) == 2
    parts = streamed(client, **asked)[:-1]
    assert sum(len(part["completion_probabilities"]) for part in parts) == 3


def test_fields_can_be_chosen(client):
    """A slash leads into a field; what there is not is left out."""
    fields = ["content", "generation_settings/n_predict", "nothing/here"]
    body = client.post(
        "/completion", json={"prompt": "Hi", "n_predict": 3, "response_fields": fields}
    ).json()
    assert body == {"content": "The", "generation_settings/n_predict": 3}


def test_a_sampler_that_the_backend_lacks_is_named(client):
    """By the request's name of it: what was asked for is not passed over."""
    for field, value in (("logit_bias", [["T", -100]]), ("mirostat", 2), ("xtc_probability", 0.5)):
        answer = client.post("/completion", json={"prompt": "Hi", field: value})
        assert answer.status_code == 400
        assert field in answer.json()["error"]["message"]
        assert "SamplingParams" not in answer.json()["error"]["message"]


def test_a_grammar_holds(client):
    """As GBNF, or as a JSON schema."""
    body = client.post("/completion", json={"prompt": "Hi", "grammar": 'root ::= "yes"'}).json()
    assert body["content"] == "yes"
    schema = {
        "type": "object",
        "properties": {"a": {"type": "boolean"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    body = client.post("/completion", json={"prompt": "Hi", "json_schema": schema}).json()
    assert set(json.loads(body["content"])) == {"a"}


@pytest.mark.anyio
async def test_samplers_that_nobody_reads_are_passed_over():
    """Clients of llama-server send all they know."""
    with headrace.load_model("fake:") as model:
        request = Generating(mirostat=2, top_k=5, typical_p=0.5, temperature=0.5)
        found = await sampling_of(request, model, headrace.SamplingParams())
        assert (found.mirostat, found.temperature, found.top_k) == (2, 0.5, 40)
        found = await sampling_of(
            Generating(samplers="kt", min_p=0.5, top_k=3), model, headrace.SamplingParams()
        )
        assert (found.samplers, found.top_k, found.min_p) == (("top_k", "temperature"), 3, 0.05)


@pytest.mark.anyio
async def test_biases_are_of_tokens_and_of_texts():
    """In either form; false bans."""
    with headrace.load_model("fake:") as model:
        for bias in ([[84, False]], {"84": False}, {"T": False}, [["T", False]]):
            found = await sampling_of(Generating(logit_bias=bias), model, headrace.SamplingParams())
            assert found.logit_bias == ((84, -math.inf),)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt.prompt_string"),
        ({"prompt": ["a", ["b", {}]]}, "prompt[1][1]"),
        ({"prompt": [70000, "a"]}, "prompt[0]"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": {"prompt_string": "a", "multimodal_data": ["x"]}}, "prompt.multimodal_data"),
        ({"prompt": "a", "n_predict": -2}, "n_predict"),
        ({"prompt": "a", "n_predict": "3"}, "n_predict"),
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": "a", "temperature": -1}, "temperature"),
        ({"prompt": "a", "temperature": "hot"}, "temperature"),
        ({"prompt": "a", "top_p": 1e9}, "top_p"),
        ({"prompt": "a", "n_probs": 1000}, "n_probs"),
        ({"prompt": "a", "samplers": ["top_q"]}, "samplers"),
        ({"prompt": "a", "samplers": "z"}, "samplers"),
        ({"prompt": "a", "stop": [1]}, "stop"),
        ({"prompt": "a", "logit_bias": 3}, "logit_bias"),
        ({"prompt": "a", "logit_bias": [[1, "x"]]}, "logit_bias"),
        ({"prompt": "a", "logit_bias": {"70000": 1}}, "logit_bias"),
        ({"prompt": "a", "grammar": "root ::= ("}, "grammar"),
        ({"prompt": "a", "json_schema": 5}, "json_schema"),
        ({"prompt": "a", "json_schema": {"type": "what"}}, "json_schema"),
        ({"prompt": "a", "post_sampling_probs": True}, "post_sampling_probs"),
        ({"prompt": "a", "lora": [{"id": 0, "scale": 1.0}]}, "lora"),
        ({"prompt": "a", "lora": [{"id": 0}]}, "lora"),
        ({"prompt": "a", "seed": 2**40}, "seed"),
    ],
)
def test_what_is_wrong_is_named(client, body, field):
    """A plain 400, streamed or not, whose message names the field."""
    for stream in (False, True):
        answer = client.post("/completion", json={**body, "stream": stream})
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error["code"] == 400
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith(field), error
        assert "SamplingParams" not in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_too_long_a_prompt_is_always_the_same_error(serve, stream):
    """With both numbers, in words and as numbers."""
    with serve("fake:x#n_ctx=64").client() as client:
        answer = client.post("/completion", json={"prompt": "a" * 100, "stream": stream})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["n_prompt_tokens"]) == ("exceed_context_size_error", 101)
    assert error["n_ctx"] == 64
    assert "101" in error["message"]
    assert "64" in error["message"]


def test_an_error_after_the_beginning_is_an_event(serve):
    """The stream does not merely end."""
    with serve("fake:Hello there#fault=failed&fault_at=5").client() as client:
        bodies = streamed(client, prompt="Hi")
    assert "error" in bodies[-1]
    assert bodies[-1]["error"]["code"] == 500
    assert any(body.get("content") for body in bodies[:-1])


def test_an_infill(client):
    """The prompt is the end of the prefix; the suffix is seen, and other files."""
    body = client.post(
        "/infill",
        json={
            "input_prefix": "def ",
            "prompt": "f",
            "input_suffix": "pass",
            "input_extra": [{"filename": "a.py", "text": "x = 1"}],
            "n_predict": 3,
        },
    ).json()
    assert body["content"] == "The"
    assert "def f" in body["prompt"]
    assert "x = 1" in body["prompt"]
    assert body["tokens_evaluated"] > len("def fpassx = 1")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input_suffix": ""}, "input_prefix"),
        ({"input_prefix": ""}, "input_suffix"),
        ({"input_prefix": "", "input_suffix": "", "input_extra": [{}]}, "input_extra"),
        (
            {"input_prefix": "", "input_suffix": "", "input_extra": [{"filename": 1, "text": ""}]},
            "input_extra",
        ),
        ({"input_prefix": "", "input_suffix": "", "prompt": [1]}, "prompt"),
    ],
)
def test_what_is_wrong_with_an_infill_is_named(client, body, field):
    """As for a completion."""
    answer = client.post("/infill", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(field)


def test_a_template_is_applied(client):
    """The conversation as the model would see it."""
    body = client.post(
        "/apply-template", json={"messages": [{"role": "user", "content": "Hello"}]}
    ).json()
    assert body == {"prompt": "user: Hello<eos>\nassistant: "}
    answer = client.post("/apply-template", json={"messages": [{"role": "user"}]})
    assert answer.status_code == 400
    assert "messages[0].content" in answer.json()["error"]["message"]


def test_embeddings_are_lists_of_vectors(client):
    """One vector of a text where they are pooled, one of a token where not."""
    bodies = client.post("/embedding", json={"content": ["Hello", "You"]}).json()
    assert [body["index"] for body in bodies] == [0, 1]
    (vector,) = bodies[0]["embedding"]
    assert sum(number**2 for number in vector) == pytest.approx(1, abs=1e-3)
    (body,) = client.post("/embeddings", json={"input": "Hello", "pooling": "none"}).json()
    assert len(body["embedding"]) > 4
    answer = client.post("/embedding", json={})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("content")


def test_properties(client):
    """What clients look at: what is left out of a request, and how much fits."""
    body = client.get("/props").json()
    assert body["total_slots"] == 8
    assert body["default_generation_settings"]["n_ctx"] == 4096
    assert body["default_generation_settings"]["params"]["top_k"] == 40
    assert body["model_path"] == SCRIPT


def test_properties_load_nothing_unless_wanted(serve):
    """A page that looks every second keeps no model in memory."""
    server = serve(SCRIPT)
    with server.client() as client:
        body = client.get("/props", params={"autoload": "false"}).json()
    assert body["is_sleeping"] is True
    assert server.state.registry.place(None).served is None


def test_the_tokenizer_is_told(client):
    """Names, ids and texts of special tokens."""
    body = client.get("/tokenizer_info").json()
    assert body["eos_token"] == "<eos>"
    assert body["eos_token_id"] == body["special_token_ids"]["eos"]
    assert body["vocab_size"] > 256


def test_slots_of_a_model_that_is_not_loaded(serve):
    """All are idle, and it stays unloaded."""
    server = serve(SCRIPT)
    with server.client() as client:
        slots = client.get("/slots").json()
    assert [slot["is_processing"] for slot in slots] == [False] * 8
    assert server.state.registry.place(None).served is None


def test_slots_tell_who_is_at_work(serve):
    """The sequence is taken as long as the stream is, and its number is in the stream."""
    with serve("fake:#mean_length=0&delay=0.005").client() as client:
        with client.stream("POST", "/completion", json={"prompt": "Hi", "stream": True}) as answer:
            lines = answer.iter_lines()  # what is dropped closes the connection
            line = next(line for line in lines if line.startswith("data: "))
            slots = client.get("/slots").json()
        number = json.loads(line.removeprefix("data: "))["id_slot"]
        assert [slot["is_processing"] for slot in slots].count(True) == 1
        assert slots[number]["id_task"] == answer.headers["x-request-id"]
        assert "Hi" not in json.dumps(slots)


ADAPTED = "fake:Hello"


@pytest.fixture
def adapted(serve):
    """A client of a model with two adapters, the first of which acts."""
    from headrace_server import ModelSpec

    spec = ModelSpec(
        name="m", reference=ADAPTED, adapters=(("fake:Ahoy", 1.0), ("fake:Servus", 0.0))
    )
    with serve(spec).client() as client:
        yield client


def test_adapters_are_listed(adapted):
    """With their numbers and how strongly they act."""
    found = adapted.get("/lora-adapters").json()
    assert [(each["id"], each["scale"]) for each in found] == [(0, 1.0), (1, 0.0)]
    assert found[1]["path"] == "fake:Servus"


def test_adapters_act_by_request_and_for_all(adapted):
    """A request's own scales are its own; those that were set hold for later requests."""

    def content(**more):
        return adapted.post("/completion", json={"prompt": "Hi", **more}).json()["content"]

    assert content() == "Ahoy"
    assert content(lora=[{"id": 1, "scale": 1.0}]) == "Servus"
    assert content(lora=[]) == "Hello"
    assert content() == "Ahoy"
    answer = adapted.post("/lora-adapters", json=[{"id": 1, "scale": 1.0}])
    assert answer.json() == {"success": True}
    assert content() == "Servus"
    assert [each["scale"] for each in adapted.get("/lora-adapters").json()] == [0.0, 1.0]


def test_an_adapter_that_there_is_not_is_named(adapted):
    """Nothing is changed."""
    answer = adapted.post("/lora-adapters", json=[{"id": 2, "scale": 1.0}])
    assert answer.status_code == 400
    assert "adapter 2" in answer.json()["error"]["message"]
    assert [each["scale"] for each in adapted.get("/lora-adapters").json()] == [1.0, 0.0]


def test_each_token_of_a_stream_has_a_part_with_its_probability(client):
    """Also where several come at once; together they are the text."""
    parts = streamed(client, prompt="Hi", n_probs=1)[:-1]
    assert [len(part["completion_probabilities"]) for part in parts] == [1] * len(parts)
    assert "".join(part["content"] for part in parts) == "The race carries water."


def test_tokens_that_are_never_chosen_are_shown(client):
    """As llama-server does: with no end, those that end a text have a bias of null."""
    body = client.post(
        "/completion", json={"prompt": "Hi", "n_predict": 2, "ignore_eos": True}
    ).json()
    assert body["generation_settings"]["logit_bias"] == [{"token": 257, "bias": None}]


def test_a_look_at_a_model_that_left_does_not_wake_it(serve):
    """What was told while it was loaded is told again, with the word that it sleeps."""
    server = serve(SCRIPT)
    with server.client() as client:
        before = client.get("/props").json()
        assert client.post("/models/unload", json={"model": SCRIPT}).status_code == 200
        after = client.get("/props").json()
    assert (before.pop("is_sleeping"), after.pop("is_sleeping")) == (False, True)
    assert before == after
    assert server.state.registry.place(None).served is None
