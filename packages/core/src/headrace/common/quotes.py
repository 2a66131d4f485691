"""How messages quote what plugins and backends said: on one line, of a length that can be read.

What is quoted is foreign: a message may be a page long, and an object may raise
when it is asked for its text. Both happen where one failure is told beside
others, which a page of text, or a second failure, would hide.
"""

from __future__ import annotations

MOST = 300
"""Characters of a message that is quoted."""
_MOST_OF_A_VALUE = 100


def in_brief(text: str, most: int = MOST) -> str:
    """The text on one line, and cut where it is longer than that many characters."""
    # No more is looked at than could be shown: it may be megabytes.
    line = " ".join(text[: 4 * most].split())
    whole = len(text) <= 4 * most and len(line) <= most
    return line if whole else line[: most - 1].rstrip() + "…"


def shown(value: object) -> str:
    """A value's ``repr`` in brief, whatever it is."""
    try:
        return in_brief(repr(value), _MOST_OF_A_VALUE)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def told(error: BaseException, most: int = MOST) -> str:
    """Class and message of an exception, in brief."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({shown(error.code)})"
    name, message = type(error).__name__, message_of(error, most)
    return f"{name}: {message}" if message else name


def message_of(error: BaseException, most: int = MOST) -> str:
    """The message of an exception in brief, whatever it is."""
    try:
        return in_brief(str(error), most)
    except Exception as second:
        return f"<its message raises {type(second).__name__}>"


def listed(items: list[str], most: int = 5) -> str:
    """Several that were told in brief, separated, and how many more there are."""
    more = len(items) - most
    return "; ".join(items[:most]) + (f"; and {more} more" if more > 0 else "")
