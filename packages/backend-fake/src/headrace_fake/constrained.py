"""How likely the fake finds what a grammar allows: texts that come to their end.

The order of the tokens follows from the hash of the memory. What closes something (an end, a
quotation mark, a bracket, a comma) is likelier than what goes on, and the more so the longer the
output is, so that a string, a list and the whole have an end; what opens something is less likely.
What nobody reads (white space, escapes, bytes that are no letter of ASCII) is chosen only where
nothing else is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace_fake import chain
from headrace_fake.vocabulary import EOS

_CLOSING = frozenset(b'"]},')
_OPENING = frozenset(b"{[")
_READ = (frozenset(range(0x21, 0x7F)) - frozenset(b"\\")) | {EOS}
_SALT = 0x6A
_MANY = 64
"""With more tokens than this the output is inside a text, where brackets close nothing."""


def ranking(allowed: Sequence[int], memory_hash: int, salt: int, n_chosen: int) -> list[int]:
    """The tokens that may be chosen, the likeliest first.

    Args:
        allowed: Ids of those that the grammar allows, at least one.
        memory_hash: Of what is in memory.
        salt: Of the model.
        n_chosen: Tokens of the output so far.
    """
    hash_ = chain.scatter(memory_hash, salt + _SALT)
    urge = 8 + n_chosen // 8
    closing = _CLOSING if len(allowed) <= _MANY else frozenset(b'"')

    def place(token: int) -> int:
        at = chain.scatter(hash_, token)
        if token == EOS:
            return at // (2 * urge)
        if token in closing:
            return at // urge
        return at * 8 if token in _OPENING else at

    read = [token for token in allowed if token in _READ]
    return sorted(read or allowed, key=place)
