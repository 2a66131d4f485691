"""Every template that llama.cpp tests itself with, beside jinja2 as transformers sets it up.

Where the texts differ, the difference is one of those that ``docs/templates.md`` tells of.
"""

from __future__ import annotations

import pytest

import headrace
from headrace import ModelParams
from tests.support import chat_templates, tiny_gguf
from tests.support.conversations import CONVERSATIONS
from tests.support.renderings import DIFFERENCES, compare


@pytest.fixture(scope="module")
def model():
    """Its special tokens are those that jinja2 is given."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


@pytest.mark.parametrize("name", chat_templates.names())
def test_a_template_is_rendered_as_by_jinja2(model, name):
    """But for what is known of it, in each conversation."""
    found = {}
    for key, conversation in CONVERSATIONS.items():
        label = compare(model, name, conversation).label
        known = set(label.split(", ")) - ({"zeros"} if key == "numbers" else set())
        if known - {"same", "both refuse", "not shown"}:
            found.setdefault(", ".join(sorted(known)), []).append(key)
    assert {label: " ".join(keys) for label, keys in found.items()} == DIFFERENCES.get(name, {})
