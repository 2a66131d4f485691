"""``instructor``: answers as types, by response formats and by calls."""

from __future__ import annotations

import instructor
import openai
import pydantic
import pytest


class Sum(pydantic.BaseModel):
    """An answer."""

    value: int


@pytest.mark.parametrize(
    ("mode", "script"),
    [
        (instructor.Mode.JSON, '{"value": 3}'),
        (instructor.Mode.JSON_SCHEMA, '{"value": 3}'),
        (
            instructor.Mode.TOOLS,
            '<tool_call>{"name": "Sum", "arguments": {"value": 3}}</tool_call>',
        ),
    ],
)
def test_an_answer_is_a_value_of_the_type(url, mode, script):
    """At the first try."""
    plain = openai.OpenAI(base_url=f"{url(f'fake:{script}')}/v1", api_key="none", max_retries=0)
    client = instructor.from_openai(plain, mode=mode)
    found = client.chat.completions.create(
        model="m",
        response_model=Sum,
        messages=[{"role": "user", "content": "1 + 2?"}],
        max_retries=0,
    )
    assert found.value == 3
