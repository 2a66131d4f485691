"""The text of a stream does not depend on how tokens cut it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from headrace.streams.text import StopStrings, TextAssembler, Utf8Decoder

SMALL = st.text(alphabet="ab\né語😀", max_size=30)
STOPS = st.lists(st.text(alphabet="ab\né語", min_size=1, max_size=4), max_size=3)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces, some of them empty."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def read(pieces: list[bytes], stop: list[str], *, step_by_step: bool) -> tuple[str, list[int]]:
    """All text and all seen tokens, taken after each piece or at the end only."""
    assembler = TextAssembler(stop)
    text, seen = "", []
    for token, piece in enumerate(pieces):
        assembler.push(token, piece)
        if step_by_step:
            more, tokens = assembler.take()
            text, seen = text + more, seen + tokens
    more, tokens = assembler.finish()
    return text + more, seen + tokens


def expected(text: str, stop: list[str]) -> str:
    """Character by character: cut at the first moment at which a stop string is complete."""
    for end in range(1, len(text) + 1):
        starts = [end - len(s) for s in stop if text[:end].endswith(s)]
        if starts:
            return text[: min(starts)]
    return text


@given(st.binary(max_size=40), st.lists(st.integers(0, 100), max_size=12))
def test_any_split_of_any_bytes_decodes_like_all_at_once(data, cuts):
    """Also where the bytes are no valid text."""
    decoder = Utf8Decoder()
    text = "".join(decoder.push(piece) for piece in split(data, cuts)) + decoder.flush()
    assert text == data.decode("utf-8", "replace")


@given(SMALL, st.lists(st.integers(0, 100), max_size=12))
def test_no_chunk_holds_half_a_character(text, cuts):
    """What is decoded at any moment is a beginning of the text."""
    decoder, got = Utf8Decoder(), ""
    for piece in split(text.encode(), cuts):
        got += decoder.push(piece)
        assert text.startswith(got)
    assert got == text


@given(SMALL, st.lists(st.integers(0, 200), max_size=12), STOPS, st.booleans())
def test_stop_strings_are_found_at_every_boundary(text, cuts, stop, step_by_step):
    """The text ends before the stop string that is complete first."""
    got, _ = read(split(text.encode(), cuts), stop, step_by_step=step_by_step)
    assert got == expected(text, stop)


@given(SMALL, st.lists(st.integers(0, 200), max_size=12), STOPS)
def test_what_is_seen_does_not_depend_on_when_it_is_taken(text, cuts, stop):
    """Reading eagerly or late gives the same history."""
    pieces = split(text.encode(), cuts)
    assert read(pieces, stop, step_by_step=True) == read(pieces, stop, step_by_step=False)


@given(
    st.one_of(SMALL.map(str.encode), st.binary(max_size=30)),
    st.lists(st.integers(0, 200), max_size=12),
    st.lists(st.integers(0, 12), max_size=4),
    STOPS,
)
def test_many_tokens_at_once_are_as_one_after_the_other(data, cuts, blocks, stop):
    """The same text, the same tokens seen and the same carry after every block."""
    pieces = split(data, cuts)
    edges = [0, *sorted(edge % (len(pieces) + 1) for edge in blocks), len(pieces)]
    single, together = TextAssembler(stop), TextAssembler(stop)
    for start, end in itertools.pairwise(edges):
        for token in range(start, end):
            single.push(token, pieces[token])
        together.extend(range(start, end), pieces[start:end])
        assert together.carry() == b"" or together.carry() == single.carry()
        assert together.stop_string == single.stop_string
        assert together.take() == single.take()
        assert together.carry() == single.carry()
    assert together.finish() == single.finish()


@given(st.lists(st.binary(max_size=6), max_size=10))
def test_every_token_is_seen_once_and_in_order_when_nothing_stops(pieces):
    """Nothing is lost at the end of a generation."""
    _, seen = read(pieces, [], step_by_step=True)
    assert seen == list(range(len(pieces)))


@given(SMALL, st.lists(st.integers(0, 200), max_size=12), STOPS, st.integers(0, 12))
def test_going_on_after_a_cancel_completes_the_text(text, cuts, stop, kept):
    """Delivered text, carried bytes and the tokens not remembered make the whole again."""
    pieces = split(text.encode(), cuts)
    first = TextAssembler(stop)
    shown, seen = "", 0
    for token, piece in enumerate(pieces[:kept]):
        first.push(token, piece)
        if first.stopped:
            return
        more, tokens = first.take()
        shown, seen = shown + more, seen + len(tokens)
    second = TextAssembler((), first.carry())
    for token, piece in enumerate(pieces[seen:]):
        second.push(token, piece)
    more, _ = second.finish()
    assert shown + more == text


@given(st.text(max_size=20), STOPS)
def test_what_is_held_back_is_no_longer_than_the_longest_stop_string(text, stop):
    """So memory is bounded whatever the model writes."""
    stops = StopStrings(stop)
    assert stops.held_back(text) < max((len(s) for s in stop), default=1)
