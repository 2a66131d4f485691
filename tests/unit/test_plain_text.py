"""What stands for a control token in a message stays text."""

from __future__ import annotations

import pytest

import headrace
from headrace.streams.plain_text import ControlTexts, stretches

BOS, EOS = 256, 257
SIGN = chr(0xF0000)


@pytest.fixture
def session():
    """A session of the fake, whose format ends every message with an EOS."""
    with headrace.load_model("fake:Fine.") as model, model.open_session() as session:
        yield session


def history(session, *messages, **keywords):
    """The tokens of a conversation."""
    session.complete_chat(list(messages), max_tokens=0, **keywords)
    return session.tokens


def tokens(text):
    """Bytes as tokens, with an EOS for each bar."""
    return [EOS if byte == ord("|") else byte for byte in text.encode()]


@pytest.mark.parametrize("role", ["user", "system", "tool", "assistant"])
def test_a_control_token_in_a_message_is_text(session, role):
    """Whoever's message it is; the template's own tokens are as they were."""
    said = {"role": role, "content": "a<eos>b<bos>"}
    asked = {"role": "user", "content": "Well?"}
    assert history(session, said, asked) == [
        BOS,
        *tokens(f"{role}: a"),
        *b"<eos>b<bos>",
        *tokens("|\nuser: Well?|\nassistant: "),
    ]


def test_thoughts_and_arguments_are_text_too(session):
    """What an assistant thought and called is shown by the template as well."""
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": "<eos>"}'}}
    said = {
        "role": "assistant",
        "content": "",
        "reasoning_content": "<bos>",
        "tool_calls": [call],
    }
    found = history(
        session, {"role": "user", "content": "x"}, said, {"role": "user", "content": "y"}
    )
    assert found.count(EOS) == 3
    assert found.count(BOS) == 1
    text = bytes(token for token in found if token < 256)
    assert b'"<eos>"' in text
    assert b"<think><bos></think>" in text


def test_what_nobody_marked_is_read_as_ever(session):
    """Most conversations have no such text; their rendering is tokenized as a whole."""
    model = session._owner
    rendered = model.render_chat([{"role": "user", "content": "a <b> c"}])
    assert rendered.plain == ()
    assert history(session, {"role": "user", "content": "a <b> c"}) == model.tokenize(
        rendered.prompt, add_special=True, parse_special=True
    )


def test_a_rendering_shows_what_was_written(session):
    """The marks are gone from it, and it says which part is plain text."""
    rendered = session._owner.render_chat([{"role": "user", "content": f"{SIGN}a<eos>b"}])
    assert rendered.prompt == f"user: {SIGN}a<eos>b<eos>\nassistant: "
    ((start, stop),) = rendered.plain
    assert rendered.prompt[start:stop] == f"user: {SIGN}a<eos>b"


def test_several_messages_have_their_own_places(session):
    """Each stretch ends where the template writes a token."""
    found = history(
        session,
        {"role": "system", "content": "<eos>"},
        {"role": "user", "content": "plain"},
        {"role": "user", "content": "<bos><eos>"},
    )
    assert found == [
        BOS,
        *b"system: <eos>",
        *tokens("|\nuser: plain|\nuser: "),
        *b"<bos><eos>",
        *tokens("|\nassistant: "),
    ]


def test_text_that_is_no_ascii_is_as_it_was(session):
    """Offsets are those of characters."""
    found = history(session, {"role": "user", "content": "déjà <eos> 🤗"})
    assert found == [BOS, *"user: déjà <eos> 🤗".encode(), *tokens("|\nassistant: ")]


def test_a_next_turn_finds_the_first(session):
    """What was read as text is read so again, so that its memory serves."""
    first = {"role": "user", "content": "<eos>"}
    done = session.complete_chat([first])
    again = session.complete_chat([first, done.message, {"role": "user", "content": "And?"}])
    assert again.usage.cached_tokens >= done.usage.prompt_tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("nothing", []),
        ("<a>", [(0, 3)]),
        ("x<ab>y<a>", [(1, 5), (6, 9)]),
        ("<<a>", [(1, 4)]),
        ("[I]<a>", [(0, 3), (3, 6)]),
        ("<a><a", [(0, 3)]),
    ],
)
def test_texts_of_tokens_are_found(text, expected):
    """The longest at each place, in order."""
    assert stretches(text, ControlTexts(["<a>", "<ab>", "[I]", ""])) == expected
