"""What sources in llguidance's notation begin with, and how a text is written in them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from headrace.grammar.sets import union

HEADER = '%llguidance {"no_forcing": true}\n'
"""Every token that fits is allowed, not only the usual one where the text is certain."""


def literal(text: str) -> str:
    """A text that stands for itself."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007f")


def token_set(ids: Iterable[int | str | None], *, negated: bool = False) -> str:
    """One of some tokens, or one of all others."""
    ranges = union((each, each) for each in ids if isinstance(each, int))
    listed = (str(low) if low == high else f"{low}-{high}" for low, high in ranges)
    return f"<[{'^' * negated}{','.join(listed)}]>"


def choice_source(options: Iterable[str]) -> str:
    """A source for one of some texts, of which any may be the beginning of another."""
    return f"{HEADER}start: TEXT\nTEXT: {' | '.join(map(literal, options))}\n"
