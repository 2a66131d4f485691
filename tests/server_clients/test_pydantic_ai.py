"""``pydantic-ai``: an agent on a model that is served here."""

from __future__ import annotations

import asyncio

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


@pytest.fixture
def agent(url):
    """One that says hello."""
    provider = OpenAIProvider(base_url=f"{url('fake:Hello world')}/v1", api_key="none")
    return Agent(OpenAIChatModel("m", provider=provider))


def test_a_whole_answer(agent):
    """With the tokens counted."""
    found = agent.run_sync("Hi")
    assert found.output == "Hello world"


def test_a_stream(agent):
    """Its deltas are the answer."""

    async def read() -> str:
        async with agent.run_stream("Hi") as stream:
            return "".join([each async for each in stream.stream_text(delta=True)])

    assert asyncio.run(read()) == "Hello world"


def test_a_tool_is_called(url):
    """The call comes in with its arguments; the agent gives up on one that only calls."""
    script = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
    provider = OpenAIProvider(base_url=f"{url(f'fake:{script}')}/v1", api_key="none")
    agent = Agent(OpenAIChatModel("m", provider=provider))
    called = []

    class DoneError(Exception):
        """Enough."""

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        """The sum."""
        called.append((a, b))
        raise DoneError

    with pytest.raises(DoneError):
        agent.run_sync("1 + 2?")
    assert called == [(1, 2)]
