"""A vocabulary as llguidance wants it, made once for a model and shared by its threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.backend.abilities import ListsPieces
from headrace.backend.decoder import Vocabulary
from headrace.grammar import library


class _Tokenizer:
    """What llguidance reads of a tokenizer."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokens: list[bytes], specials: list[int], eos_token_id: int) -> None:
        self.tokens = tokens
        self.special_token_ids = specials
        self.eos_token_id = eos_token_id

    def __call__(self, text: Any) -> list[int]:
        """Nothing: no source of ours lets llguidance ask how a text is best tokenized."""
        return []


def ends(vocabulary: Vocabulary) -> list[int]:
    """The tokens that end a generation."""
    return [token for token in range(vocabulary.n_tokens) if vocabulary.is_eog(token)]


def unsaid(vocabulary: Vocabulary) -> list[int]:
    """The tokens that no text stands for: those that end a generation, and control tokens."""
    found = set(ends(vocabulary))
    found.update(token for token, piece in enumerate(pieces(vocabulary)) if not piece)
    return sorted(found)


def pieces(vocabulary: Vocabulary) -> Sequence[bytes]:
    """The bytes of every token as it appears in a stream."""
    if isinstance(vocabulary, ListsPieces):
        return vocabulary.pieces()
    return [vocabulary.piece(token) for token in range(vocabulary.n_tokens)]


def make_tokenizer(vocabulary: Vocabulary, *, spoken: bool) -> Any:
    """An ``llguidance.LLTokenizer``; takes a second for 262,144 tokens.

    Args:
        vocabulary: The model's.
        spoken: Whether control tokens such as ``<tool_call>`` may stand for their text. Else a
            grammar allows them only where it names them.
    """
    tokens = list(pieces(vocabulary))
    eog = ends(vocabulary)
    specials = [token for token, piece in enumerate(tokens) if not piece]
    for token in specials:
        text = vocabulary.detokenize([token], special=True)
        tokens[token] = text if spoken and token not in eog else b"\xff" + text
    left = [token for token in specials if not spoken or token in eog]
    wrapped: Any = _Tokenizer(tokens, left, eog[0] if eog else 0)
    return library.llguidance().LLTokenizer(wrapped, n_vocab=len(tokens), eos_token=eog or None)
