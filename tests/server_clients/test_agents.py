"""``openai-agents`` over ``/v1/responses``: an agent whose model calls a tool and reads its result.

The fake writes what is scripted, so the model that calls and the one that answers are two.
"""

from __future__ import annotations

import asyncio

import pytest
from agents import (
    Agent,
    ModelResponse,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from agents.models.interface import Model
from openai import AsyncOpenAI

from headrace_server import create_app
from tests.server.conftest import Listening

MODELS = {
    "calling": "fake:<think>add them</think>"
    '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>',
    "answering": "fake:It is three.",
}


@pytest.fixture(scope="module")
def url():
    """Where a server with both models listens."""
    set_tracing_disabled(True)
    with Listening(create_app(MODELS)) as server:
        yield f"{server.url}/v1"


class ByTurns(Model):
    """Asks one model for the first turn and another for the next."""

    def __init__(self, client):
        names = ("calling", "answering")
        self._models = [OpenAIResponsesModel(name, client) for name in names]
        self.responses: list[ModelResponse] = []

    async def get_response(self, *given, **named):
        """The whole of a turn."""
        response = await self._models[min(len(self.responses), 1)].get_response(*given, **named)
        self.responses.append(response)
        return response

    async def stream_response(self, *given, **named):
        """Its events."""
        async for event in self._models[min(len(self.responses), 1)].stream_response(
            *given, **named
        ):
            yield event
        self.responses.append(event.response)


def an_agent(model, called):
    """An agent with one tool, which notes what it is called with."""

    @function_tool
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        called.append((a, b))
        return str(a + b)

    return Agent(name="Miller", instructions="Add.", model=model, tools=[add])


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_calls_a_tool(url, streamed, by_id):
    """It is run with the model's arguments, and the next turn has its result."""
    called = []

    async def run():
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            model = ByTurns(client)
            options = {"run_config": RunConfig(tracing_disabled=True)}
            if by_id:
                options["auto_previous_response_id"] = True
            agent = an_agent(model, called)
            if not streamed:
                return model, await Runner.run(agent, "1 + 2?", **options)
            result = Runner.run_streamed(agent, "1 + 2?", **options)
            async for _ in result.stream_events():
                pass
            return model, result

    model, result = asyncio.run(run())
    assert called == [(1, 2)]
    assert result.final_output == "It is three."
    assert len(model.responses) == 2
    assert result.context_wrapper.usage.requests == 2
    assert result.context_wrapper.usage.output_tokens > 0
