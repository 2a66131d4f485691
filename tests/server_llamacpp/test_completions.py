"""Log-probabilities and biases over the real llama.cpp."""

from __future__ import annotations

import anyio
import httpx
import pytest

import headrace
from headrace.testing import tiny_gguf
from headrace_server import create_app

TEXT = "the old mill by the river"


@pytest.fixture(scope="module")
def path():
    """A tiny model."""
    return tiny_gguf.path("attention")


def asked(path, *requests):
    """The answers of one server."""

    async def ask() -> list:
        app = create_app(str(path))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            found = [await client.post(where, json=body, timeout=60) for where, body in requests]
        await app.state.server.aclose()
        return found

    return anyio.run(ask)


def test_what_an_evaluation_harness_asks_for_equals_the_score(path):
    """Token ids, one new token, echo: to 1e-4."""
    with headrace.load_model(str(path)) as model, model.open_session() as session:
        ids = model.tokenize(TEXT)
        score = session.score(ids, top=1)
    body = {"prompt": [ids], "max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0}
    (found,) = asked(path, ("/v1/completions", body))
    assert found.status_code == 200, found.text
    logprobs = found.json()["choices"][0]["logprobs"]
    assert len(logprobs["token_logprobs"]) == len(ids) + 1
    for index in range(1, len(ids)):
        assert logprobs["token_logprobs"][index] == pytest.approx(score.logprobs[index], abs=1e-4)
        top = max(logprobs["top_logprobs"][index].values())
        assert top == pytest.approx(score.top[index][0][1], abs=1e-4)


def test_a_banned_token_is_not_written(path):
    """``false`` in llama-server's words, -100 in OpenAI's."""
    body = {"prompt": TEXT, "max_tokens": 1, "logprobs": 0, "temperature": 0}
    with headrace.load_model(str(path)) as model, model.open_session() as session:
        sampling = headrace.SamplingParams(temperature=0)
        tokens = model.tokenize(TEXT, parse_special=True)
        (first,) = session.complete(tokens, max_tokens=1, sampling=sampling).tokens
    plain, *banned = asked(
        path,
        *(
            ("/v1/completions", {**body, **bias})
            for bias in ({}, {"logit_bias": {str(first): -100}}, {"logit_bias": [[first, False]]})
        ),
    )
    told = [each.json()["choices"][0]["logprobs"]["tokens"] for each in (plain, *banned)]
    assert told[1] == told[2] != told[0]
