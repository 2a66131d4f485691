"""Bad input over every endpoint: always the client's fault, and the field is named."""

from __future__ import annotations

import json
import socket

import pytest

from headrace_server import ModelSpec, endpoints
from headrace_server.server import Server
from headrace_server.settings import ServerSettings
from tests.server.asking import CHAT, HELLO

ROUTES = tuple(endpoints.routes(Server([ModelSpec(name="a", reference="fake:")], ServerSettings())))
POSTED = sorted({each.path for each in ROUTES if each.endpoint.described.body is not None})
NOT_JSON = {
    "empty": b"",
    "cut": b'{"messages": [{"role": "user", "con',
    "text": b"hello",
    "two values": b"{} {}",
    "NaN": b'{"temperature": NaN}',
    "no UTF-8": b'{"model": "\xff\xfe"}',
    "half a surrogate": b'{"model": "\\ud800"}',
    "deep": b"[" * 200_000,
    "deep and whole": b'{"messages": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "zeros": b"\0" * 100,
}
NO_OBJECT = (b"null", b"true", b"3", b'"text"', b"[3]", b"[[]]")


@pytest.fixture(scope="module")
def client(serve_all):
    """A client of a model that says hello."""
    with serve_all("fake:Hello world", body_timeout=0.5, max_body=1_000_000).client() as client:
        yield client


def error_of(response):
    """The error of a response, whichever interface's shape it has."""
    assert 400 <= response.status_code < 500, (response.status_code, response.text[:300])
    assert response.headers["content-type"] == "application/json"
    return response.json()["error"]


def post(client, path, body, content_type="application/json"):
    """A body as it is."""
    return client.post(path, content=body, headers={"content-type": content_type})


@pytest.mark.parametrize("path", POSTED)
def test_what_is_no_json_is_refused(client, path):
    """Empty, cut off, no UTF-8, nested without end."""
    for body in NOT_JSON.values():
        assert error_of(post(client, path, body))["message"]


@pytest.mark.parametrize("path", POSTED)
def test_what_is_no_object_is_refused(client, path):
    """The message says what was expected."""
    for body in NO_OBJECT:
        assert error_of(post(client, path, body))["message"]


@pytest.mark.parametrize("path", POSTED)
def test_other_content_types_are_refused(client, path):
    """With the one that is expected."""
    for content_type in ("text/plain", "application/xml", "multipart/form-data; boundary=a"):
        response = post(client, path, b"{}", content_type)
        assert response.status_code == 415
        assert "application/json" in error_of(response)["message"]


@pytest.mark.parametrize("path", POSTED)
def test_a_body_that_is_too_large_is_refused(client, path):
    """Before it is read."""
    response = post(client, path, b" " * 1_000_001)
    assert response.status_code == 413
    assert "1000000" in error_of(response)["message"]


def _schemas(client):
    """For each type of body one of its paths, and its schema."""
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    seen = set()
    for path in POSTED:
        operation = document["paths"][path]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        if schema.get("$ref", "") not in seen | {""}:
            seen.add(schema["$ref"])
            yield path, schemas[schema["$ref"].rpartition("/")[2]]


WRONG = (
    {"a": {"b": []}},
    [[[]]],
    "text",
    True,
    -1,
    1.5,
    10**30,
    -(10**30),
    1e308,
    "\0",
    [None],
    {},
    "",
)
"""One of them is wrong for any field."""


def test_wrong_values_of_any_field_are_refused_by_name(client):
    """All fields of all endpoints, by the types in ``/openapi.json``, each with some values."""
    base = {
        "messages": HELLO,
        "prompt": "Hi",
        "input": "Hi",
        "query": "Hi",
        "documents": ["Hi"],
        "max_tokens": 2,
        "n_predict": 2,
        "max_output_tokens": 2,
        "model": "Hello world",
        "tokens": [72],
    }
    asked = 0
    for path, schema in _schemas(client):
        fields = schema["properties"]
        whole = {name: value for name, value in base.items() if name in fields}
        for at, field in enumerate(fields):
            for value in (WRONG * 2)[2 * at % len(WRONG) :][:2]:
                body = json.dumps({**whole, field: value}).encode()
                response = post(client, path, body)
                asked += 1
                told = (path, field, value, response.status_code, response.text[:300])
                assert response.status_code < 500, told
                if response.status_code == 400 and isinstance(value, (dict, list)):
                    message = error_of(response)["message"]
                    named = message.startswith(field) or field in message
                    assert named or message.startswith(tuple(fields)), told
    assert asked > 300


def test_missing_fields_are_named(client):
    """All that an endpoint cannot do without."""
    for path, schema in _schemas(client):
        for field in schema.get("required", ())[:1]:
            message = error_of(post(client, path, b"{}"))["message"]
            assert message.startswith(field), (path, message)


def test_deep_values_in_free_fields_are_refused(client):
    """Where any JSON is taken, there is an end to it too."""
    deep: object = {}
    for _ in range(900):
        deep = {"a": deep}
    for field in ("chat_template_kwargs", "response_format", "tools", "json_schema"):
        value = {
            "chat_template_kwargs": {"a": deep},
            "response_format": {"type": "json_object", "schema": deep},
            "tools": [{"type": "function", "function": {"name": "a", "parameters": deep}}],
            "json_schema": deep,
        }[field]
        body = json.dumps({"messages": HELLO, field: value}).encode()
        response = post(client, CHAT, body)
        assert response.status_code < 500, (field, response.text[:300])


def _sent(client, head, *parts, close=False):
    """What comes back for bytes on a connection."""
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(head)
        for part in parts:
            connection.sendall(part)
        if close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
            if b"\r\n\r\n" in answer and b"error" in answer:
                break
        return answer


HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
)


def test_a_body_that_does_not_come_is_a_408(client):
    """After ``body_timeout``, and the connection holds nobody up meanwhile."""
    answer = _sent(client, HEAD, b'{"messages": ')
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert b"body" in answer


def test_a_body_that_is_cut_off_hurts_nobody(client):
    """The next request is answered."""
    _sent(client, HEAD, b'{"messages": ', close=True)
    response = client.post(CHAT, json={"messages": HELLO})
    assert response.status_code == 200
