"""The helper that judges grammars for these tests."""

from __future__ import annotations

import json

from tests.support.taking import following, takes, texts

SOURCE = '%llguidance {"no_forcing": true}\nstart: %json {"type": "object"}'


def test_a_text_is_taken_whole() -> None:
    """With its end, and as UTF-8."""
    matcher = following(SOURCE)
    assert takes(SOURCE, '{"é": ["😀"]}')
    assert not takes(matcher, '{"a": 1')
    assert not takes(matcher, b'{"\xff": 1}')


def test_texts_are_drawn_to_their_end() -> None:
    """The same for a seed; each of them is taken."""
    found = [texts(following(SOURCE), seed) for seed in range(20)]
    assert found == [texts(SOURCE, seed) for seed in range(20)]
    assert len(set(found)) > 5
    assert all(isinstance(json.loads(text), dict) and takes(SOURCE, text) for text in found)
