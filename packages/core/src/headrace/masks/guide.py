"""``Guide``: what a model has to keep outputs to grammars, made and imported when it is wanted.

Every model has one, and most never see a grammar.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headrace.errors import GrammarError

if TYPE_CHECKING:
    from headrace.backend.decoder import Vocabulary
    from headrace.grammar import Grammar
    from headrace.grammar.nodes import Tokens
    from headrace.masks.matcher import Matcher

MOST_KEPT = 64
"""Grammars that are kept compiled; half a megabyte each."""


class Guide:
    """Compiles grammars over one vocabulary. Thread-safe.

    Args:
        vocabulary: The model's.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._tokenizers: dict[bool, Any] = {}
        self._fresh: OrderedDict[Grammar, Any] = OrderedDict()
        self._eog: list[int] = []
        self._unsaid: list[int] | None = None

    def prepare(self, *, spoken: bool = False) -> Any:
        """The tokenizer, made at the first call: that takes a second for 262,144 tokens."""
        from headrace.masks.tokens import ends, make_tokenizer

        with self._lock:
            if spoken not in self._tokenizers:
                self._eog = ends(self._vocabulary)
                self._tokenizers[spoken] = make_tokenizer(self._vocabulary, spoken=spoken)
            return self._tokenizers[spoken]

    def matcher(self, grammar: Grammar, *, ban_eog: bool) -> Matcher:
        """What follows one output through a grammar.

        Raises:
            GrammarError: If the grammar names a token that there is not, or is too large.
        """
        from headrace.grammar import Choice, JsonSchema, Regex
        from headrace.grammar.composed import is_spoken, sources_for
        from headrace.masks.matcher import Matcher

        spoken = is_spoken(grammar)
        tokenizer = self.prepare(spoken=spoken)
        with self._lock:
            fresh = self._fresh.get(grammar)
        if fresh is None:
            fresh = _compiled(tokenizer, sources_for(grammar, self._tokens(spoken=spoken)))
        with self._lock:
            self._fresh[grammar] = fresh
            self._fresh.move_to_end(grammar)
            while len(self._fresh) > MOST_KEPT:
                self._fresh.popitem(last=False)
        return Matcher(
            fresh,
            self._vocabulary.n_tokens,
            self._eog,
            ban_eog=ban_eog,
            dear=not isinstance(grammar, (JsonSchema, Regex, Choice)),
            tokenize=lambda text: self._tokenize(text, spoken=spoken),
        )

    def _tokenize(self, text: bytes, *, spoken: bool) -> list[int]:
        """Tokens of a text that an output goes on with; none where they begin otherwise."""
        whole = text.decode("utf-8", "ignore")
        found = self._vocabulary.tokenize(whole, add_special=False, parse_special=spoken)
        written = b"".join(map(self._vocabulary.piece, found))
        if spoken:
            written = b"".join(self._vocabulary.detokenize([each], special=True) for each in found)
        # Some vocabularies put a space before a text.
        return found if text.startswith(written) else []

    def _tokens(self, *, spoken: bool) -> Tokens:
        from headrace.grammar.nodes import Tokens

        return Tokens(
            self._vocabulary.n_tokens,
            self._id_of,
            lambda token: self._text_of(token, spoken=spoken),
            self._eog,
            lambda: self._eog if spoken else self._without_text(),
        )

    def _without_text(self) -> list[int]:
        from headrace.masks.tokens import unsaid

        if self._unsaid is None:
            self._unsaid = unsaid(self._vocabulary)
        return self._unsaid

    def _text_of(self, token: int, *, spoken: bool) -> str | None:
        if self._vocabulary.is_eog(token):
            return None
        try:
            return self._vocabulary.detokenize([token], special=spoken).decode() or None
        except UnicodeDecodeError:
            return None

    def _id_of(self, text: str) -> int | None:
        found = self._vocabulary.tokenize(text, add_special=False, parse_special=True)
        return found[0] if len(found) == 1 else None


def _compiled(tokenizer: Any, sources: Iterator[str]) -> Any:
    """The first of some sources that can be compiled."""
    from headrace.grammar import library

    failure: GrammarError | None = None
    for source in sources:
        try:
            return library.new_matcher(tokenizer, source)
        except GrammarError as error:
            failure = failure or error
    assert failure is not None
    raise failure
