"""One line for each request, with numbers and no text."""

from __future__ import annotations

import json
import logging

import pytest

from headrace_server import ApiKey
from headrace_server.logging import JsonLines
from tests.server.asking import answer, chat, streamed, until


@pytest.fixture
def lines(caplog):
    """The lines of the access log, once there are as many as there must be."""
    caplog.set_level(logging.INFO, "headrace_server")

    def written():
        found = [JsonLines().format(each) for each in list(caplog.records)]
        assert all("\n" not in each for each in found)
        read = [json.loads(each) for each in found]
        return [each for each in read if "request_id" in each and each["path"] != "/health"]

    def read(number):
        until(lambda: len(written()) >= number)  # a line comes after the answer
        return written()

    return read


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_a_line_of_json(serve, lines, stream):
    """Ids, who asked, which model, how it went, tokens and times."""
    key = ApiKey(key="very-secret-key", name="team")
    server = serve({"m": "fake:The answer"}, api_keys=(key,))
    with server.client(headers={"authorization": "Bearer very-secret-key"}) as client:
        usage = answer(client, model="m")["usage"]
        ask = streamed if stream else answer
        ask(client, model="m", messages=[{"role": "user", "content": "Tell nobody"}])
    first, line = lines(2)
    assert line["path"] == "/v1/chat/completions"
    assert (line["model"], line["key_name"], line["status"]) == ("m", "team", 200)
    assert (line["outcome"], line["stop_reason"], line["streamed"]) == ("ok", "eog", stream)
    assert first["prompt_tokens"] == usage["prompt_tokens"]
    assert first["completion_tokens"] == usage["completion_tokens"] == line["completion_tokens"]
    assert 0 < line["first_token_seconds"] <= line["seconds"]
    assert line["request_id"] != first["request_id"]
    text = json.dumps(lines(2))
    for secret in ("Tell nobody", "The answer", "very-secret-key"):
        assert secret not in text


def test_a_refused_request_is_a_line_too(serve, lines):
    """With the error's code."""
    with serve("fake:").client() as client:
        chat(client, n=0)
        client.post("/v1/chat/completions", content=b"{")
    first, second = lines(2)
    assert (first["status"], first["outcome"]) == (400, "invalid_value")
    assert (second["status"], second["outcome"]) == (400, "invalid_json")


def test_prompts_are_logged_where_they_may_be(serve, lines):
    """And nowhere else."""
    with serve("fake:", log_prompts=True).client() as client:
        answer(client, messages=[{"role": "user", "content": "Tell everybody"}])
    (line,) = lines(1)
    assert "Tell everybody" in line["prompt"]


def test_without_an_access_log_there_are_no_lines(serve_once, lines):
    """A front server may write its own."""
    with serve_once("fake:", access_log=False) as server, server.client() as client:
        answer(client)
    assert lines(0) == []
