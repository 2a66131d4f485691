"""Conversations that end with a message of the assistant's, which is gone on with."""

from __future__ import annotations

import pytest

import headrace
from headrace import ChatMessage, ParamsError, StopReason, UnsupportedError
from headrace.requests.conversation import check_chat
from headrace.streams.continued import ContinuedParser, continued
from headrace.streams.parser import PlainTextParser, RenderedChat, WholeTextParser
from headrace.streams.reading import Reading

HI = {"role": "user", "content": "Hi"}
CALL = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'


@pytest.fixture
def fake():
    """A session that says this."""
    opened = []

    def open_(script):
        model = headrace.load_model(f"fake:{script}")
        opened.append(model)
        return model, model.open_session()

    yield open_
    for model in opened:
        model.close()


def begun(**message):
    """A conversation that ends so."""
    return [HI, {"role": "assistant", "content": "", **message}]


def test_the_prompt_ends_with_the_text_and_the_answer_is_what_is_added(fake):
    """It is said once, streamed or not."""
    model, session = fake("lo.")
    talk = begun(content="Hel")
    assert model.render_chat(talk).prompt == model.render_chat([HI]).prompt + "Hel"
    with session.chat(talk) as stream:
        text = "".join(chunk.content for chunk in stream)
    assert text == stream.result.message.content == "lo."
    assert stream.result.text == "lo."


def test_thoughts_are_gone_on_with_and_stand_before_a_text(fake):
    """In a format that has a place for them."""
    model, session = fake("m.</think>Yes.")
    done = session.complete_chat(begun(reasoning="h"))
    assert (done.message.reasoning, done.message.content) == ("m.", "Yes.")
    assert model.render_chat(begun(reasoning="h")).prompt.endswith("<think>\nh")


def test_a_call_may_follow(fake):
    """It is read as ever, and checked."""
    _, session = fake(f" look.{CALL}")
    done = session.complete_chat(begun(content="Let me"), tools=[{"name": "f"}])
    assert done.message.content == " look."
    assert [call.valid for call in done.message.tool_calls] == [True]


def test_an_empty_message_is_a_new_answer(fake):
    """There is nothing to go on with."""
    model, _ = fake("Hi")
    assert model.render_chat(begun()).prompt == model.render_chat([HI]).prompt


def test_tools_that_are_told_as_text_go_with_it(fake):
    """The one inside the other."""
    _, session = fake(f" look.{CALL}")
    done = session.complete_chat(
        begun(content="Let me"), tools=[{"name": "f"}], tools_in_prompt=True
    )
    assert done.message.content == " look."
    assert done.finish_reason == "tool_calls"


def test_what_cannot_be_gone_on_with_is_refused(fake):
    """With the message's place."""
    model, _ = fake("x")
    call = {"function": {"name": "f"}}
    with pytest.raises(ParamsError, match=r"messages\[1\]\.tool_calls must be empty in a last"):
        model.render_chat(begun(tool_calls=[call]))
    with pytest.raises(ParamsError, match="must have one before that of the assistant"):
        model.render_chat(begun(content="x")[1:])
    with pytest.raises(UnsupportedError, match="kept to a response_format"):
        model.render_chat(begun(content="{"), response_format="json_object")


class Opens(WholeTextParser):
    """Of a format whose prompt has begun to think."""

    def parse(self, text, *, partial):
        """What stands before the end of thoughts are thoughts."""
        thoughts, _, content = text.partition("[/think]")
        return ChatMessage(
            role="assistant", reasoning=thoughts.strip(), content=content.lstrip("\n")
        )


def opening(request):
    """A backend whose prompts begin to think, and whose finished answers have no thoughts."""
    text = "".join(f"{message.role}: {message.content}\n" for message in request.messages)
    return RenderedChat(
        prompt=f"{text}assistant: [think]\n", parser=Opens(), spoken=("[think]", "[/think]")
    )


@pytest.mark.parametrize(
    ("message", "ending"),
    [
        ({"content": "It is"}, "[think]\n\n[/think]\n\nIt is"),
        ({"content": "It is", "reasoning": "Hm."}, "[think]\nHm.\n[/think]\n\nIt is"),
        ({"reasoning": "Hm."}, "[think]\nHm."),
    ],
)
def test_thoughts_that_the_prompt_began_are_ended_before_a_text(message, ending):
    """As the format ends them."""
    rendered = continued(check_chat(begun(**message)), opening)
    assert rendered.prompt.endswith(ending)
    added = rendered.parser.parse(" so", partial=False)
    assert (added.content, added.reasoning) in [(" so", ""), ("", " so")]


def test_a_tag_that_nothing_ends_leaves_no_place():
    """Where a parser takes all for text, and the prompt says that it is thoughts."""

    def never(request):
        return RenderedChat(prompt="user: Hi\n<think>", parser=PlainTextParser())

    with pytest.raises(UnsupportedError, match=r"no place where messages\[1\]\.content"):
        continued(check_chat(begun(content="It is")), never)


def test_an_answer_that_reads_otherwise_is_content():
    """Nothing of it is lost."""

    class Other(WholeTextParser):
        def parse(self, text, *, partial):
            return ChatMessage(role="assistant", content=text.replace("Hel", "Hal"))

    message = ChatMessage(role="assistant", content="Hel")
    reading = Reading(ContinuedParser(Other(), "Hel", message))
    chunk = reading.finish("lo", StopReason.EOG)
    assert (chunk.content, chunk.unread) == ("lo", True)
