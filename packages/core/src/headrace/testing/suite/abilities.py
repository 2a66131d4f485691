"""Chat, infilling, adapters: where a model has them."""

from __future__ import annotations

from typing import Any

from headrace.errors import ParamsError
from headrace.results import Capability, StopReason
from headrace.testing.kit import Kit, closing_all, expect, expect_equal, expect_error
from headrace.testing.rules import rule

CHAT = (Capability.CHAT,)


def _ask(*contents: str) -> list[Any]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


def _chat_keywords(kit: Kit, n: int) -> dict[str, Any]:
    return {**kit.subject.chat_options, "sampling": kit.subject.sampling, "max_tokens": n}


@rule("chat.chunks", needs=CHAT)
def chat_chunks(kit: Kit) -> None:
    """The chunks of an answer are its message."""
    with kit.session() as session:
        stream = session.chat(_ask("Hi"), **_chat_keywords(kit, 8))
        text = "".join(chunk.content for chunk in stream)
        message = stream.result.message
        expect_equal((message.role, message.content or ""), ("assistant", text), "the message")


@rule("chat.turns", needs=CHAT)
def chat_turns(kit: Kit) -> None:
    """A later turn is answered, with the history of the earlier ones."""
    keywords = _chat_keywords(kit, 6)
    with kit.session() as session, kit.session() as fresh:
        first = session.complete_chat(_ask("Hi"), **keywords)
        turns = [*_ask("Hi"), first.message, *_ask("And then?")]
        second = session.complete_chat(turns, **keywords)
        again = fresh.complete_chat(turns, **keywords)
        expect_equal(second.message, again.message, "the answer in a session that goes on")


@rule("chat.bad_message", needs=CHAT)
def bad_message(kit: Kit) -> None:
    """A message that is none is a ParamsError that says which."""
    messages = [*_ask("Hi"), {"role": "nobody", "content": ""}]
    with kit.session() as session:
        expect_error(
            ParamsError,
            lambda: session.complete_chat(messages, **_chat_keywords(kit, 4)),
            "a role that does not exist",
            said="messages[1]",
        )


@rule("infill.writes", needs=[Capability.INFILL])
def infill(kit: Kit) -> None:
    """What stands between a prefix and a suffix is streamed like any other text."""
    with kit.session() as session:
        stream = session.infill(
            "the beginning", "the end", sampling=kit.subject.sampling, max_tokens=6, ignore_eog=True
        )
        text = "".join(chunk.text for chunk in stream)
        expect_equal(stream.result.text, text, "text of the result")
        expect_equal(stream.result.stop_reason, StopReason.MAX_TOKENS, "stop_reason")


@rule("adapters.act", needs=[Capability.LORA], given="adapter")
def adapters_act(kit: Kit) -> None:
    """An adapter acts, at scale 0 it does not."""

    def written(**params: Any) -> str:
        with kit.session(**params) as session:
            return kit.say(session, n=24).text

    adapter = kit.model.load_adapter(str(kit.subject.adapter))
    with closing_all(adapter):
        plain = written()
        expect(written(adapters=[adapter]) != plain, "with the adapter the same was written")
        expect_equal(written(adapters=[(adapter, 0.0)]), plain, "text at scale 0")
        expect_equal(written(), plain, "text of a session without it")
