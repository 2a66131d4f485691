"""What the fake writes under a grammar."""

from __future__ import annotations

import json

import pytest

import headrace
from headrace import Choice, JsonSchema, Regex, SamplingParams
from headrace_fake import FakeBackend


def write(script, grammar, **more) -> str:
    """What a fake with a script writes."""
    sampling = SamplingParams(temperature=0.0, grammar=grammar, **more)
    backend = FakeBackend(script=script)
    with (
        headrace.load_model("fake:", backend=backend) as model,
        model.open_session() as session,
    ):
        found = session.complete("x", sampling=sampling)
        assert backend.violations == ()
        return found.text


@pytest.mark.parametrize("logprobs", [None, 0])
def test_a_script_is_written_where_it_is_allowed(logprobs):
    """Also where the grammar left no choice of a part of it."""
    schema = JsonSchema(
        {
            "type": "object",
            "properties": {"city": {"type": "string"}, "n": {"type": "integer"}},
            "required": ["city", "n"],
            "additionalProperties": False,
        }
    )
    script = '{"city": "Paris", "n": 12}'

    assert write(script, schema, logprobs=logprobs) == script
    assert write("yes", Choice(["no", "yes"]), logprobs=logprobs) == "yes"
    assert write("abcdef", Regex("abc[a-z]ef"), logprobs=logprobs) == "abcdef"


def test_a_script_that_is_not_allowed_is_left_where_it_is_not():
    """Something else that is allowed comes in its place."""
    assert write("maybe", Choice(["yes", "no"])) in ("yes", "no")
    text = write(
        '{"a": oops',
        JsonSchema(
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "required": ["a"],
                "additionalProperties": False,
            }
        ),
    )
    assert list(json.loads(text)) == ["a"]
