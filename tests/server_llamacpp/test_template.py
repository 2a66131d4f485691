"""A model without a chat template is given one."""

from __future__ import annotations

import pytest

from headrace import EngineParams
from headrace.testing import tiny_gguf
from headrace_server import ModelSpec

TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
MESSAGES = [{"role": "user", "content": "Hello."}]


@pytest.fixture
def client(serve):
    """Asks a server of a tiny model that has no template of its own."""

    def made(template):
        spec = ModelSpec(
            name="tiny",
            reference=str(tiny_gguf.path("attention")),
            engine=EngineParams(n_ctx=256, n_sequences=1),
            template=template,
        )
        return serve(spec).client()

    return made


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/chat/completions", {"max_tokens": 2}),
        ("/v1/messages", {"max_tokens": 2}),
        ("/v1/messages/count_tokens", {}),
    ],
)
def test_every_chat_is_shown_with_it(client, path, more):
    """And refused without one."""
    body = {"messages": MESSAGES, **more}
    with client(TEMPLATE) as asked:
        assert asked.post(path, json=body).status_code == 200
    with client(None) as asked:
        refused = asked.post(path, json=body)
    assert refused.status_code == 400
    assert "template" in refused.json()["error"]["message"]


def test_what_is_shown_can_be_looked_at(client):
    """The text, and the template."""
    with client(TEMPLATE) as asked:
        shown = asked.post("/apply-template", json={"messages": MESSAGES}).json()["prompt"]
        assert shown == "user: Hello.\nassistant:"
        assert asked.get("/props").json()["chat_template"] == TEMPLATE
