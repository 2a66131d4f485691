"""``Memo``: asked once, answered for ever."""

from __future__ import annotations

import pytest

from headrace.common.memo import Memo


def test_a_function_is_asked_once_for_each_argument():
    """Also where the answer is false."""
    asked = []

    def even(number: int) -> bool:
        asked.append(number)
        return number % 2 == 0

    memo = Memo(even)
    assert [memo[number] for number in (1, 2, 1, 2, 1)] == [False, True, False, True, False]
    assert asked == [1, 2]


def test_what_the_function_raises_is_not_remembered():
    """The next one who asks may be luckier."""
    answers = iter([ValueError("not yet"), 7])

    def unsteady(_: int) -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    memo = Memo(unsteady)
    with pytest.raises(ValueError, match="not yet"):
        memo[0]
    assert memo[0] == 7
