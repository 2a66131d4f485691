"""Conversations that a process answers: read there, chunk by chunk as here."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace
from headrace import ChatParseError, StopReason, Tool
from headrace_fake import FakeBackend
from headrace_subprocess.client import Client

HI = [{"role": "user", "content": "Hi"}]
TOOLS = [Tool(name="add"), Tool(name="sub")]
ANSWER = (
    "<think>Ünd → 🎉.</think>Let <to me see."
    '<tool_call>{"name": "add", "arguments": {"a": "☃"}}</tool_call>'
    '<tool_call>{"name": "sub", "arguments": {}}</tool_call>'
)
BROKEN = "All <tool_call>{]</tool_call>"


@pytest.fixture(scope="module")
def pairs():
    """Models that write these answers, here and in a process of their own."""
    found = {}
    for script in (ANSWER, BROKEN):
        reference = f"fake:{script}"
        here = headrace.load_model(reference, backend=FakeBackend())
        params = headrace.ModelParams(isolation="process")
        found[script] = (here, headrace.load_model(reference, params=params))
    yield found
    for model in (model for pair in found.values() for model in pair):
        model.close()


def answered(model, read=None, **options):
    """The chunks of an answer, and what became of it."""
    with model.open_session() as session, session.chat(HI, tools=TOOLS, **options) as stream:
        chunks = []
        try:
            for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == read:
                    stream.cancel()
            done = stream.result
        except ChatParseError as error:
            return chunks, error.message, error.text, session.tokens
        return chunks, done.message, done.text, done.tokens, done.stop_reason, session.tokens


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    script=st.sampled_from([ANSWER, BROKEN]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "read": st.integers(1, 20),
            "max_tokens": st.integers(0, 150),
            "stop": st.lists(
                st.builds(lambda at, n: ANSWER[at : at + n], st.integers(0, 120), st.integers(1, 9))
            ),
        },
    ),
)
def test_an_answer_is_that_of_this_process(pairs, script, options):
    """Chunk by chunk: its stop strings, its cut ends, cancelled anywhere, what cannot be read."""
    here, there = pairs[script]
    assert answered(there, **options) == answered(here, **options)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_task_reads_the_same(pairs, backend):
    """Its event loop asks nobody."""
    if backend == "trio":
        pytest.importorskip("trio")
    here, there = pairs[ANSWER]

    async def main():
        with there.open_session() as session:
            async with await session.achat(HI, tools=TOOLS) as stream:
                return [chunk async for chunk in stream], stream.result.message

    assert anyio.run(main, backend=backend) == answered(here)[:2]


def test_nothing_is_asked_for_a_reading(pairs, monkeypatch):
    """It comes with the text."""
    here, there = pairs[ANSWER]
    asked = []
    monkeypatch.setattr(Client, "call", lambda self, *message: asked.append(message))
    with there.open_session() as session:
        done = session.complete_chat(HI, tools=TOOLS)
    assert done.message == answered(here)[1]
    assert asked == []


def test_the_child_ends_with_a_stop_string(pairs):
    """What comes after it is not computed there."""
    _, there = pairs[ANSWER]
    for begin in ("generate", "chat"):
        with there.open_session() as session:
            stream = getattr(session, begin)("Hi" if begin == "generate" else HI, stop="think")
            assert len(list(stream)) == 1
            assert stream.result.text == "<"
            assert stream.result.stop_reason is StopReason.STOP_STRING
            steps = there.client.call("advances")
            assert steps <= len("<think") + 1, begin


def test_a_rendering_reads_answers(pairs):
    """Those of whoever generates in some other way; it asks the child."""
    for pair in zip(*pairs.values(), strict=True):
        parsers = [model.render_chat(HI, tools=TOOLS).parser for model in pair]
        whole = [parser.parse(ANSWER, partial=False) for parser in parsers]
        assert whole[0] == whole[1]
        shown = [[parser.feed(part) for part in ANSWER] for parser in parsers]
        assert shown[0] == shown[1]
