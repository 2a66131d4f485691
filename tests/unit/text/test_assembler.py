"""What a reader sees of the pieces, and which tokens count as seen."""

from __future__ import annotations

import pytest

from headrace.streams.text import TextAssembler


def fed(*pieces: bytes, stop: tuple[str, ...] = (), carry: bytes = b"") -> TextAssembler:
    """An assembler that was given some pieces, numbered from 0."""
    assembler = TextAssembler(stop, carry)
    for token, piece in enumerate(pieces):
        assembler.push(token, piece)
    return assembler


def test_a_token_is_seen_with_the_first_of_its_text():
    """A token that ends inside a character is seen when its first character is."""
    assembler = fed("é".encode()[:1])
    assert assembler.take() == ("", [])
    assembler.push(1, "é".encode()[1:] + b"x" + "ö".encode()[:1])
    assert assembler.take() == ("éx", [0, 1])


def test_text_that_may_begin_a_stop_string_is_held_back():
    """Nothing of a possible stop string is handed out before it is decided."""
    assembler = fed(b"one\n", stop=("\n\n",))
    assert assembler.take() == ("one", [0])
    assert assembler.held_back == 1
    assembler.push(1, b"two")
    assert assembler.take() == ("\ntwo", [1])


def test_tokens_that_only_complete_a_stop_string_are_not_seen():
    """What follows the text before the stop string is not for the reader."""
    assembler = fed(b"one\n", b"\n", b"two", stop=("\n\n",))
    assert assembler.take() == ("one", [0])
    assert assembler.stopped
    assert assembler.finish() == ("", [])


def test_the_stop_string_that_is_complete_first_wins():
    """A longer stop string that began earlier does not."""
    assembler = fed(b"xaby", stop=("xaby", "ab"))
    assert assembler.take() == ("x", [0])


def test_an_incomplete_character_becomes_a_replacement_at_the_end():
    """Bytes held back are flushed as U+FFFD when the generation ends by itself."""
    assembler = fed(b"a", "語".encode()[:2])
    assert assembler.take() == ("a", [0])
    assert assembler.finish() == ("\ufffd", [1])


def test_a_stop_string_held_back_in_vain_is_handed_out_at_the_end():
    """The end decides what was undecided."""
    assembler = fed(b"a\n", stop=("\n\n",))
    assembler.take()
    assert assembler.finish() == ("\n", [])


def test_a_token_without_text_is_seen_with_what_precedes_it():
    """An end token has no bytes of its own."""
    assembler = fed(b"a", b"")
    assert assembler.take() == ("a", [0, 1])


def test_a_token_without_text_waits_for_text_that_is_held_back():
    """It cannot be seen before its predecessor."""
    assembler = fed("語".encode()[:2], b"")
    assert assembler.take() == ("", [])
    assert assembler.finish() == ("\ufffd", [0, 1])


def test_bytes_that_no_character_continues_do_not_make_the_next_token_seen():
    """The replacement belongs to the bytes before it."""
    assembler = fed(b"\xe8\xaa", "語".encode()[:1])
    assert assembler.take() == ("\ufffd", [0])


@pytest.mark.parametrize(
    ("pieces", "stop", "carry"),
    [
        ((b"ab",), (), b""),
        ((b"a\xe8\xaa",), (), b"\xe8\xaa"),
        ((b"a\n",), ("\n\n",), b"\n"),
        ((b"a\n", b"\xe8"), ("\n\n",), b"\n"),
        ((b"a\xe8", b"\xaa"), (), b"\xe8"),
        ((b"\xe8", b"\xaa"), (), b""),
    ],
)
def test_the_carry_is_what_seen_tokens_have_left(pieces, stop, carry):
    """After a cancel the next generation begins with text the reader is still owed."""
    assembler = fed(*pieces, stop=stop)
    assembler.take()
    assert assembler.carry() == carry


def test_a_carry_begins_the_text():
    """The character that a cancel cut is completed by the next generation."""
    assembler = fed("語".encode()[1:], carry="語".encode()[:1])
    assert assembler.take() == ("語", [0])
