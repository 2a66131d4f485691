"""Text to tokens and back, on the ``tokenizers`` library, exact to the byte.

A stream hands out bytes, because a token may be a part of a character; the
library hands out text. What bytes a token stands for follows from its name and
from the kind of the tokenizer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from headrace.errors import ModelFormatError, TokenizeError

_BYTE_NAME = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TorchVocabulary:
    """A tokenizer and its pieces.

    Args:
        tokenizer: A fast tokenizer of transformers.
        n_tokens: Rows of the model's output, some of which may have no token.
        eog: Ids that end a generation.

    Raises:
        ModelFormatError: If the tokenizer is of a kind whose pieces are unknown.
    """

    def __init__(self, tokenizer: Any, n_tokens: int, eog: frozenset[int]) -> None:
        text = tokenizer.backend_tokenizer.to_str()
        # Two, because whether special tokens are read is a state of the object.
        self._reading, self._plain = Tokenizer.from_str(text), Tokenizer.from_str(text)
        self._plain.encode_special_tokens = True
        self.n_tokens, self._eog = n_tokens, eog
        if self._reading.get_vocab_size() > n_tokens:
            raise ModelFormatError(
                f"the tokenizer has {self._reading.get_vocab_size()} tokens, the model {n_tokens}"
            )
        told = json.loads(text)
        kinds = _kinds(told.get("decoder"))
        # Sentence-piece tokenizers begin a text with a space that is not in it.
        self._adds_space = "Strip" in kinds or "Metaspace" in kinds
        added = {each["id"]: each for each in told["added_tokens"]}
        self._names = {id: each["content"].encode() for id, each in added.items()}
        self._pieces = [b""] * n_tokens
        for name, id in self._reading.get_vocab().items():
            if id not in added:
                self._pieces[id] = _bytes_of(name, kinds)
            elif not added[id]["special"]:
                self._pieces[id] = self._names[id]

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of a text."""
        tokenizer = self._reading if parse_special else self._plain
        try:
            return list(tokenizer.encode(text, add_special_tokens=add_special).ids)
        except Exception as error:  # the library raises bare ones
            raise TokenizeError(f"the text cannot be tokenized: {error}") from error

    def detokenize(self, tokens: Sequence[int], *, special: bool) -> bytes:
        """Bytes of the tokens; control tokens only if ``special``."""
        pieces = [
            (self._names.get(token, b"") if special else b"") or self._pieces[token]
            for token in tokens
        ]
        text = b"".join(pieces)
        return text.removeprefix(b" ") if self._adds_space else text

    def piece(self, token: int) -> bytes:
        """Bytes of one token; nothing for control tokens."""
        return self._pieces[token]

    def is_eog(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return token in self._eog


def _kinds(decoder: Any) -> set[str]:
    """The types of a decoder's parts, as its description has them."""
    if decoder is None:
        return set()
    return {decoder["type"]}.union(*map(_kinds, decoder.get("decoders", ())))


def _letters() -> dict[str, int]:
    """The printable characters that byte-level tokenizers (GPT-2's) write bytes as."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }


_LETTERS = _letters()


def _bytes_of(name: str, kinds: set[str]) -> bytes:
    if "ByteLevel" in kinds:
        return bytes(_LETTERS[letter] for letter in name)
    if kinds & {"ByteFallback", "Metaspace", "Replace"}:
        byte = _BYTE_NAME.fullmatch(name)
        return bytes.fromhex(byte[1]) if byte else name.replace("▁", " ").encode()
    raise ModelFormatError(
        f"the bytes of the tokenizer's pieces are unknown: its decoder is {sorted(kinds)}",
        hint="Byte-level and sentence-piece tokenizers work.",
    )
