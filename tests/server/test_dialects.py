"""What Responses and Anthropic's messages have in common: who leaves, waits or is too late."""

from __future__ import annotations

import pytest

from headrace import EngineParams
from headrace_server import ModelSpec

RESPONSES = ("/v1/responses", {"input": "Hello"})
MESSAGES = (
    "/v1/messages",
    {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4000},
)
both = pytest.mark.parametrize(("path", "body"), [RESPONSES, MESSAGES])


def endless(**options):
    """A model with one sequence that writes until its context is full, slowly."""
    settings = "&".join(f"{name}={value}" for name, value in {"delay": 0.01, **options}.items())
    return ModelSpec(
        name="mill",
        reference=f"fake:{'ab' * 1000}#{settings}",
        engine=EngineParams(n_sequences=1),
    )


@both
def test_a_client_that_leaves_gives_its_place_to_the_next(serve, path, body):
    """The one that waits for the only sequence is answered; it would not be for minutes."""
    server = serve(endless())
    limit = {"max_output_tokens": 2} if path == "/v1/responses" else {"max_tokens": 2}
    with server.client() as client:
        with client.stream("POST", path, json={**body, "stream": True}) as answer:
            lines = answer.iter_lines()  # closes the response when nobody holds it
            next(lines)
            assert place(server).taken == 1
        assert client.post(path, json={**body, **limit}).status_code == 200
        # Whoever comes back finds what was computed for the one that was left.
        usage = client.post(path, json={**body, **limit}).json()["usage"]
    details = usage.get("input_tokens_details", {})
    assert details.get("cached_tokens", 0) + usage.get("cache_read_input_tokens", 0) > 0


def place(server):
    """Who is at work with the only model."""
    return server.state.registry.places["mill"].served.admission


@both
@pytest.mark.parametrize("stream", [False, True])
def test_time_that_runs_out_is_an_error(serve, path, body, stream):
    """After the headers an event; nothing that looks whole."""
    with serve(endless(), request_timeout=0.5).client() as client:
        answer = client.post(path, json={**body, "stream": stream})
    if not stream:
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "request_timeout"
        return
    kinds = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
    assert "request_timeout" in answer.text
    assert kinds[-1] == ("error" if path == "/v1/messages" else "response.failed")
    assert "message_stop" not in kinds
    assert "response.completed" not in kinds


@both
def test_a_full_queue_is_told_in_the_interface_s_words(serve, path, body):
    """With the seconds after which to come again."""
    server = serve(endless(), max_queue=0)
    with server.client() as client:
        with client.stream("POST", path, json={**body, "stream": True}) as answer:
            lines = answer.iter_lines()  # closes the response when nobody holds it
            next(lines)
            refused = client.post(path, json=body)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "overloaded")


def kept_to(schema):
    """Requests of all three interfaces that want a schema kept to, with the field that has it."""
    named = {"name": "x", "schema": schema, "strict": False}
    turns = MESSAGES[1]["messages"]
    wanted = {"type": "json_schema", "json_schema": named}
    return [
        ("/v1/chat/completions", {"messages": turns, "response_format": wanted}, "response_format"),
        (
            "/v1/responses",
            {"input": "?", "text": {"format": {"type": "json_schema", **named}}},
            "text.format.schema",
        ),
        (
            "/v1/messages",
            {**MESSAGES[1], "output_config": {"format": {"type": "json_schema", "schema": schema}}},
            "output_config.format.schema",
        ),
    ]


def test_a_schema_is_kept_to_or_refused(serve):
    """Nothing of one is left out, whether the request calls it strict or not."""
    with serve("fake:[1]").client() as client:
        for path, body, _ in kept_to({"type": "array"}):
            assert client.post(path, json=body).status_code == 200
        for path, body, field in kept_to({"type": "array", "uniqueItems": True}):
            answer = client.post(path, json=body)
            assert answer.status_code == 400
            error = answer.json()["error"]
            assert (error["code"], error["param"]) == ("invalid_grammar", field)
            assert "uniqueItems" in error["message"]


@both
def test_an_unknown_model_is_not_found(serve, path, body):
    """The field is named, and the models that there are."""
    with serve({"one": "fake:1", "two": "fake:2"}).client() as client:
        answer = client.post(path, json={**body, "model": "three"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("not_found_error", "model")
    assert "one, two" in error["message"]


@both
def test_a_conversation_is_found_whichever_words_it_was_begun_in(serve, path, body):
    """The other interface computed it."""
    (other_path, other) = MESSAGES if path == RESPONSES[0] else RESPONSES
    with serve("fake:By water.").client() as client:
        assert client.post(other_path, json=other).status_code == 200
        usage = client.post(path, json=body).json()["usage"]
    details = usage.get("input_tokens_details", {})
    assert details.get("cached_tokens", 0) + usage.get("cache_read_input_tokens", 0) > 0
