"""Requests and the reading of their answers, for tests."""

from __future__ import annotations

import json
import time

import msgspec

HELLO = [{"role": "user", "content": "Hi"}]
CHAT = "/v1/chat/completions"
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "The sum.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        },
    },
}


def chat(client, **fields):
    """A conversation's answer."""
    return client.post(CHAT, json={"messages": HELLO, **fields})


def answer(client, **fields):
    """The same as JSON, of a request that succeeds."""
    response = chat(client, **fields)
    assert response.status_code == 200, response.text
    return response.json()


def events(response):
    """The events of a stream; the last one is ``[DONE]``."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    data = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def named_events(response, kind):
    """The events of a stream whose events have names: each as its struct, and named as its type.

    Args:
        response: The whole of it.
        kind: What an event is, for msgspec.
    """
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        if not lines:
            continue
        assert lines["event"] == json.loads(lines["data"])["type"]
        found.append(msgspec.json.decode(lines["data"], type=kind))
    return found


def kinds(found, prefix=""):
    """The types of such events without a prefix, each once where several come in a row."""
    names = [type(each).__struct_config__.tag.removeprefix(prefix) for each in found]
    return [name for at, name in enumerate(names) if not at or names[at - 1] != name]


def streamed(client, **fields):
    """The chunks of a stream that ends as it should."""
    found = events(chat(client, stream=True, **fields))
    assert found[-1] == "[DONE]"
    return found[:-1]


def refused(response, field=None, status=400):
    """The error of a request that is refused; its message names the field."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    if field is not None:
        assert error["param"] == field
        assert error["message"].startswith(field)
    return error


def until(condition, seconds=20.0):
    """Wait for something that a server does in its own thread."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.002)
