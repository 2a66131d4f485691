"""``POST /v1/chat/completions``, streams: which events there are, and how they end."""

from __future__ import annotations

import json

import pytest

from headrace import EngineParams
from headrace_server import ModelSpec, create_app
from tests.server.asking import ADD, CHAT, HELLO, answer, chat, events, refused, streamed


@pytest.fixture(scope="module")
def client(serve_all):
    """A client of a model that says hello."""
    with serve_all("fake:Hello world").client() as client:
        yield client


def text(chunks, index=0, field="content"):
    """What the deltas of an answer come to."""
    choices = [each for chunk in chunks for each in chunk["choices"] if each["index"] == index]
    return "".join(choice["delta"].get(field) or "" for choice in choices)


def test_the_role_comes_first_and_the_finish_has_no_content(client):
    """In between there is text alone; all of it is one answer."""
    chunks = streamed(client)
    first, *middle, last = chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert all(set(each["choices"][0]["delta"]) == {"content"} for each in middle)
    assert all(each["choices"][0]["finish_reason"] is None for each in (first, *middle))
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert text(chunks) == "Hello world"
    assert len({each["id"] for each in chunks}) == 1
    assert {each["object"] for each in chunks} == {"chat.completion.chunk"}


def test_timings_stand_in_the_last_chunk(client):
    """A client that did not ask for usage gets no chunk without choices."""
    chunks = streamed(client)
    assert all(each["choices"] for each in chunks)
    assert chunks[-1]["timings"]["predicted_n"] > 0
    assert all("usage" not in each for each in chunks)


def test_usage_has_a_chunk_without_choices(client):
    """Behind the finish, with the timings, and the same as of a whole answer."""
    chunks = streamed(client, stream_options={"include_usage": True})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["timings"]["predicted_n"] > 0
    whole = answer(client)["usage"]
    assert {**whole, "prompt_tokens_details": None} == {
        **chunks[-1]["usage"],
        "prompt_tokens_details": None,
    }
    assert all(each["choices"] for each in chunks[:-1])


def test_calls_come_in_pieces(serve):
    """Id, type and name in the first piece alone."""
    script = 'Well.<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
    with serve(f"fake:{script}").client() as client:
        chunks = streamed(client, tools=[ADD])
    pieces = [
        piece
        for chunk in chunks
        for choice in chunk["choices"]
        for piece in choice["delta"].get("tool_calls", [])
    ]
    assert pieces[0]["id"]
    assert pieces[0]["type"] == "function"
    assert pieces[0]["function"]["name"] == "add"
    assert all(set(each) == {"index", "function"} for each in pieces[1:])
    arguments = "".join(each["function"]["arguments"] for each in pieces)
    assert json.loads(arguments) == {"a": 1, "b": 2}
    assert text(chunks) == "Well."
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_thoughts_come_apart(serve):
    """As deltas of their own."""
    with serve("fake:<think>Hm.</think>Yes.").client() as client:
        chunks = streamed(client)
    assert text(chunks, field="reasoning_content") == "Hm."
    assert text(chunks) == "Yes."


def test_what_cannot_be_read_comes_with_a_note(serve):
    """In the chunk that delivers it."""
    script = "Well. <tool_call>{add}</tool_call>"
    with serve(f"fake:{script}").client() as client:
        chunks = streamed(client, tools=[ADD])
    assert text(chunks) == script
    (noted,) = [
        choice["delta"]
        for chunk in chunks
        for choice in chunk["choices"]
        if "note" in choice["delta"]
    ]
    assert noted["unread"] is True


def test_logprobs_come_with_their_text(client):
    """All of them together are those of a whole answer."""
    chunks = streamed(client, logprobs=True, top_logprobs=1)
    found = [
        each
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["logprobs"]
        for each in choice["logprobs"]["content"]
    ]
    whole = answer(client, logprobs=True, top_logprobs=1)
    assert found == whole["choices"][0]["logprobs"]["content"]


def test_several_answers_are_told_apart(serve):
    """Each has its role, its text and its finish."""
    with serve("fake:#seed=3&mean_length=8").client() as client:
        chunks = streamed(client, n=3, seed=5, temperature=1.0)
        whole = answer(client, n=3, seed=5, temperature=1.0)
    for index, choice in enumerate(whole["choices"]):
        assert text(chunks, index) == choice["message"]["content"]
        mine = [each for chunk in chunks for each in chunk["choices"] if each["index"] == index]
        assert mine[0]["delta"]["role"] == "assistant"
        assert [each["finish_reason"] for each in mine].count(None) == len(mine) - 1
        assert mine[-1]["finish_reason"]


def test_an_empty_answer_has_a_role_and_an_end(client):
    """Also when nothing was written."""
    first, last = streamed(client, max_tokens=0)
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert last["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("reference", "status", "code"),
    [
        ("fake:Hello#fault_at=1", 500, "decode_failed"),
        ("fake:#n_ctx=8", 400, "context_length_exceeded"),
        ("fake:#load_fault=format", 503, "model_damaged"),
    ],
)
def test_what_fails_before_the_first_text_is_a_status(serve, reference, status, code):
    """No stream is begun for it."""
    with serve(reference).client() as client:
        response = chat(client, stream=True)
    assert response.headers["content-type"] == "application/json"
    assert refused(response, status=status)["code"] == code


def test_what_fails_later_is_an_event(serve):
    """After what was delivered; and no ``[DONE]`` hides it."""
    with serve("fake:Hello world#fault_at=4").client() as client:
        found = events(chat(client, stream=True))
    assert text(found[:-1])
    assert found[-1]["error"]["code"] == "decode_failed"
    assert all(each["choices"][0]["finish_reason"] is None for each in found[:-1])


def test_one_of_several_that_fails_ends_the_stream(serve):
    """With one error, and no ``[DONE]``."""
    with serve("fake:Hello world#fault_at=6").client() as client:
        found = events(chat(client, stream=True, n=2))
    assert found[-1]["error"]["code"] == "decode_failed"
    assert sum("error" in each for each in found) == 1


def test_time_that_runs_out_in_a_stream_is_an_error(serve):
    """No finish reason says that the answer was complete."""
    listening = serve("fake:#mean_length=0&delay=0.01&n_ctx=100000", request_timeout=0.5)
    with listening.client() as client:
        found = events(chat(client, stream=True))
    assert found[-1]["error"]["code"] == "request_timeout"


def test_a_client_that_leaves_frees_its_place(serve):
    """The next one is seated, though there is one sequence; and its prefix is still known."""
    reference = "fake:#mean_length=0&delay=0.005&n_ctx=100000"
    one = ModelSpec(name="one", reference=reference, engine=EngineParams(n_sequences=1))
    with serve(one, max_queue=1).client() as client:
        with client.stream("POST", CHAT, json={"messages": HELLO, "stream": True}) as response:
            next(response.iter_lines())
        left = answer(client, max_tokens=1)
    assert left["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_an_application_of_ones_own_can_be_asked_without_a_socket():
    """``create_app`` is ASGI: an in-memory transport suffices."""
    import anyio
    import httpx

    async def ask() -> str:
        app = create_app("fake:Hello")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.post(CHAT, json={"messages": HELLO, "stream": True})
        await app.state.server.aclose()
        return response.text

    assert anyio.run(ask).endswith("data: [DONE]\n\n")
