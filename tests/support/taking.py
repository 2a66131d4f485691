"""What a grammar takes and what it writes, followed as a model's output is, over single bytes."""

from __future__ import annotations

import functools
import random
from typing import Any

from headrace.grammar import library
from headrace.masks.tokens import make_tokenizer

END = 256
"""The token that ends an output; the others are their bytes."""
_CLOSING = tuple(b'"}]')
_OPENING = frozenset(b"{[")


class Bytes:
    """A vocabulary of all bytes and an end."""

    n_tokens = END + 1

    def is_eog(self, token: int) -> bool:
        """The last token alone."""
        return token == END

    def piece(self, token: int) -> bytes:
        """What it adds to a text."""
        return b"" if token == END else bytes([token])

    def detokenize(self, tokens: list[int], *, special: bool) -> bytes:
        """The bytes in a row."""
        return b"".join(b"<end>" if token == END else bytes([token]) for token in tokens)


@functools.cache
def tokenizer() -> Any:
    """For all tests together."""
    return make_tokenizer(Bytes(), spoken=False)  # type: ignore[arg-type]


def following(grammar: Any) -> Any:
    """A matcher of llguidance's at the beginning: of a value, or of a source in its notation."""
    source = grammar if isinstance(grammar, str) else grammar.source
    return library.new_matcher(tokenizer(), source)


def takes(grammar: Any, text: str | bytes) -> bool:
    """Whether all of the text may be an output, and nothing has to follow it.

    Args:
        grammar: A value such as ``JsonSchema``, or a source; or what ``following`` made of it.
        text: The text, or its bytes.
    """
    matcher = _at_its_beginning(grammar)
    tokens = [*(text.encode() if isinstance(text, str) else text), END]
    found = matcher.validate_tokens(tokens)
    assert not matcher.is_error(), matcher.get_error()
    return bool(found == len(tokens))


def begins(grammar: Any, text: str | bytes) -> bool:
    """Whether an output may begin with the text; see ``takes``."""
    matcher = _at_its_beginning(grammar)
    tokens = list(text.encode() if isinstance(text, str) else text)
    found = matcher.validate_tokens(tokens)
    assert not matcher.is_error(), matcher.get_error()
    return bool(found == len(tokens))


def texts(grammar: Any, seed: int, *, n_bytes: int = 300) -> str:
    """A random output, drawn by the masks until the end.

    Args:
        grammar: As for ``takes``.
        seed: What the draws come from.
        n_bytes: After as many the output is brought to its end, if the grammar lets it.

    Raises:
        AssertionError: If it does not end, or the masks allow nothing.
    """
    matcher = _at_its_beginning(grammar)
    draw = random.Random(seed)
    output: list[int] = []
    while not output or output[-1] != END:
        assert len(output) < n_bytes + 20_000, bytes(output[:500])
        output.append(_next(matcher, output, draw, ending=len(output) >= n_bytes))
        matcher.consume_token(output[-1])
        assert not matcher.is_error(), matcher.get_error()
    return bytes(output[:-1]).decode()


def _at_its_beginning(grammar: Any) -> Any:
    fresh = (
        following(grammar) if isinstance(grammar, str) or hasattr(grammar, "source") else grammar
    )
    return fresh.deep_copy()


def _next(matcher: Any, output: list[int], draw: random.Random, *, ending: bool) -> int:
    mask = matcher.compute_bitmask()
    assert not matcher.is_error(), matcher.get_error()
    allowed = [token for token in range(END + 1) if mask[token >> 3] >> (token & 7) & 1]
    assert allowed, bytes(output[-500:])
    if ending and END in allowed:
        return END
    if ending:
        # Within a string a bracket is a character; elsewhere it closes what is open.
        closing = _CLOSING if ord("a") in allowed else tuple(reversed(_CLOSING))
        found = [token for token in closing if token in allowed]
        if found and draw.random() < 0.9:
            return found[0]
        allowed = [token for token in allowed if token not in _OPENING] or allowed
    elif END in allowed and draw.random() < 0.3:
        return END
    # What shapes the text is as likely as all that may fill it.
    shaping = [token for token in allowed if token in _OPENING or token in _CLOSING]
    return draw.choice(shaping if shaping and draw.random() < 0.2 else allowed)
