"""Checks of fields that several interfaces have."""

from __future__ import annotations

from headrace_server.errors import ApiError

MOST_ANSWERS = 128


def number_of_answers(n: int | None) -> int:
    """How many answers are asked for.

    Raises:
        ApiError: For a number outside its range.
    """
    if n is None:
        return 1
    if not 1 <= n <= MOST_ANSWERS:
        raise ApiError(
            400,
            "invalid_value",
            f"n: must be a whole number in 1 … {MOST_ANSWERS}, got {n}",
            param="n",
        )
    return n


def wrong(field: str, why: str) -> ApiError:
    """An error for a field whose value cannot be.

    Args:
        field: Its place, as the request spells it.
        why: What is wrong and what to do.
    """
    return ApiError(400, "invalid_value", f"{field}: {why}", param=field)


def refusal(field: str, why: str) -> ApiError:
    """An error for a field that is known and cannot be honoured."""
    return ApiError(400, "unsupported", f"{field}: {why}", param=field)
