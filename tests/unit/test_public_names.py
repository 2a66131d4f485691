"""What `import headrace` offers; other programs are written against it."""

from __future__ import annotations

import headrace


def test_everything_promised_is_there():
    """And sorted, and each name once."""
    assert sorted(set(headrace.__all__)) == sorted(headrace.__all__)
    for name in headrace.__all__:
        assert hasattr(headrace, name)


def test_the_names_of_the_first_example_are_among_them():
    """The README's."""
    assert {"load_model", "EngineParams", "ModelParams", "SamplingParams", "SessionParams"} <= set(
        headrace.__all__
    )


def test_general_words_are_left_to_the_programs():
    """``Outcome`` of what? A name at the top level says it."""
    assert {"Outcome", "Verdict", "Finding"}.isdisjoint(dir(headrace))
