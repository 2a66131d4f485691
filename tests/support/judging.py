"""Instances as a grammar of a schema writes them: its order of properties, its form of numbers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import attrs

from tests.support.taking import END, following, takes

MOST_TRIES = 4000
"""Names that are tried for one instance before it counts as refused."""
_CLOSING = tuple(b'"}]')
_OPENING = frozenset(b"{[")


def written(
    grammar: Any,
    value: Any,
    *,
    separators: tuple[str, str] = (", ", ": "),
    tries: int = MOST_TRIES,
    whole: bool = True,
) -> str | None:
    """A JSON text of the value that the grammar takes; None if there is none.

    Properties are tried in the order of the value first, then in any other; a number with a
    fraction of nothing as an integer too.

    Args:
        grammar: As for ``taking.takes``.
        value: What ``json.loads`` gives.
        separators: As for ``json.dumps``.
        tries: Names that are tried before it counts as refused.
        whole: Whether a number with a fraction of nothing may be written without it: to draft 4
            only the one is an integer.
    """
    matcher = grammar if hasattr(grammar, "deep_copy") else following(grammar)
    found = _Writer(separators, tries, whole).after(_Place(b"", matcher), value)
    if found is None or not takes(matcher, found.text):  # and that it may end there
        return None
    return found.text.decode("utf-8", "surrogatepass")


def has_controls(value: Any) -> bool:
    """Whether a string or a name in it has control characters that JSON has no letter for.

    Where objects have names, no character is written by its number: a name could come again so.
    """
    if isinstance(value, dict):
        return any(has_controls(each) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return any(map(has_controls, value))
    text = value if isinstance(value, str) else ""
    return any((each < " " and each not in "\b\f\n\r\t") or each == "\x7f" for each in text)


def drawn(grammar: Any, seed: int, *, n_bytes: int = 200, most: int = 2000) -> str | None:
    """A random text that a grammar allows; None if the draws do not come to an end.

    Args:
        grammar: As for ``taking.takes``.
        seed: What the draws come from.
        n_bytes: After as many the output is brought to its end, if the grammar lets it.
        most: After as many it is given up.

    Raises:
        AssertionError: If nothing may follow what was drawn, not even the end.
    """
    fresh = grammar if hasattr(grammar, "deep_copy") else following(grammar)
    matcher, draw, output = fresh.deep_copy(), random.Random(seed), bytearray()
    while len(output) < most:
        mask = matcher.compute_bitmask()
        allowed = [token for token in range(END + 1) if mask[token >> 3] >> (token & 7) & 1]
        assert not matcher.is_error(), matcher.get_error()
        assert allowed, bytes(output)
        token = _chosen(allowed, draw, ending=len(output) >= n_bytes)
        if token == END:
            return output.decode()
        output.append(token)
        matcher.consume_token(token)
    return None


def _chosen(allowed: list[int], draw: random.Random, *, ending: bool) -> int:
    if END in allowed and (ending or draw.random() < 0.5):
        return END
    # What shapes the text is as likely as all that may fill it.
    closing = [token for token in allowed if token in _CLOSING]
    if closing and (ending or draw.random() < 0.2):
        return draw.choice(closing)
    opening = [token for token in allowed if token in _OPENING]
    if opening and not ending and draw.random() < 0.3:
        return draw.choice(opening)
    plain = [token for token in allowed if token not in _OPENING and token != END]
    return draw.choice(plain or allowed)


@attrs.frozen
class _Place:
    """Behind some text."""

    text: bytes
    matcher: Any
    """There; never moved on."""

    def allows(self, text: bytes) -> bool:
        """Whether more of it may follow."""
        return bool(self.matcher.validate_tokens(list(text)) == len(text))

    def going(self, text: bytes) -> _Place | None:
        """Behind more of it, if the grammar takes that and it is not too much to follow."""
        if not self.allows(text):
            return None
        moved = self.matcher.deep_copy()
        moved.consume_tokens(list(text))
        return None if moved.is_error() else _Place(self.text + text, moved)


class _Writer:
    """Writes one value.

    Args:
        separators: As for ``json.dumps``.
        tries: Most names that are tried.
        whole: As for ``written``.
    """

    def __init__(self, separators: tuple[str, str], tries: int, whole: bool) -> None:
        self._between, self._colon = (each.encode() for each in separators)
        self._left = tries
        self._whole = whole

    def after(self, place: _Place, value: Any) -> _Place | None:
        """Behind the value."""
        if isinstance(value, dict):
            return self._object(place, value, b"{")
        if isinstance(value, list):
            return self._array(place, value)
        forms = (place.going(form) for form in _forms(value, self._whole))
        return next((form for form in forms if form is not None), None)

    def _array(self, place: _Place, items: list[Any]) -> _Place | None:
        at = place.going(b"[")
        for index, item in enumerate(items):
            if at is not None and index:
                at = at.going(self._between)
            at = None if at is None else self.after(at, item)
        return None if at is None else at.going(b"]")

    def _object(self, place: _Place, left: dict[str, Any], before: bytes) -> _Place | None:
        """Behind the object, whose remaining properties may stand in any order."""
        if not left:
            return place.going(b"{}" if before == b"{" else b"}")
        possible = self._next(place, before, left)
        later: list[tuple[int, str, _Place]] = []
        for name in possible:
            self._left -= 1
            if self._left < 0:
                return None
            at = place.going(before + _plain(name) + self._colon)
            at = None if at is None else self.after(at, left[name])
            if at is None:
                continue
            # What may come now and may not come after this one should have come first.
            lost = len(possible.keys() - {name} - self._next(at, self._between, left).keys())
            if lost:
                later.append((lost, name, at))
                continue
            done = self._rest(at, left, name)
            if done is not None:
                return done
        for _, name, at in sorted(later, key=lambda each: each[0]):
            if self._left < 0:
                return None
            done = self._rest(at, left, name)
            if done is not None:
                return done
        return None

    def _rest(self, place: _Place, left: dict[str, Any], name: str) -> _Place | None:
        rest = {each: left[each] for each in left if each != name}
        return self._object(place, rest, self._between)

    def _next(self, place: _Place, before: bytes, names: Iterable[str]) -> dict[str, None]:
        """Those of some names that may come next, in their order."""
        return dict.fromkeys(
            name for name in names if place.allows(before + _plain(name) + self._colon)
        )


def _plain(value: Any) -> bytes:
    """As llguidance writes it: U+007F escaped, which JSON would allow as it is."""
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return text.encode("utf-8", "surrogatepass")


def _forms(value: Any, whole: bool) -> Iterator[bytes]:
    yield _plain(value)
    if isinstance(value, float):
        yield format(Decimal(repr(value)), "f").encode()
        if whole and value.is_integer():
            yield str(int(value)).encode()
