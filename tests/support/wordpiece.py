"""BERT's tokenizer, uncased: words, and pieces of words by the longest match."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import gguf

CONTROL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0xF900, 0xFAFF))


class WordPiece:
    """A vocabulary of words and of pieces that go on a word, which begin with ``##``."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self.all = list(pieces)
        self.ids = {piece: index for index, piece in enumerate(self.all)}

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text, without special ones around it."""
        return [piece for word in _words(text) for piece in self._pieces_of(word)]

    def _pieces_of(self, word: str) -> list[str]:
        found: list[str] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self.ids), None)
            if end is None:
                return ["[UNK]"]
            found.append(prefix + word[start:end])
            start = end
        return found

    def write(self, writer: gguf.GGUFWriter) -> None:
        """The vocabulary in llama.cpp's form: words begin with ``▁``, other pieces with nothing."""
        kinds = gguf.TokenType
        control = set(CONTROL)
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([_phantom(piece) for piece in self.all])
        writer.add_token_types(
            [kinds.CONTROL if piece in control else kinds.NORMAL for piece in self.all]
        )
        writer.add_pad_token_id(self.ids["[PAD]"])
        writer.add_unk_token_id(self.ids["[UNK]"])
        writer.add_bos_token_id(self.ids["[CLS]"])
        writer.add_sep_token_id(self.ids["[SEP]"])
        writer.add_mask_token_id(self.ids["[MASK]"])


def _phantom(piece: str) -> str:
    if piece in CONTROL:
        return piece
    return piece[2:] if piece.startswith("##") else f"▁{piece}"


def _words(text: str) -> Iterator[str]:
    """Lower-case words without accents; signs and ideographs are words of their own."""
    word = ""
    for character in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(character)
        if kind == "Mn" or (kind in ("Cc", "Cf") and not character.isspace()):
            continue
        alone = _is_alone(character, kind)
        if word and (alone or character.isspace()):
            yield word
            word = ""
        if alone:
            yield character
        elif not character.isspace():
            word += character
    if word:
        yield word


def _is_alone(character: str, kind: str) -> bool:
    code = ord(character)
    return (
        kind.startswith("P")
        or (code < 0x7F and kind.startswith("S"))
        or any(low <= code <= high for low, high in _CJK)
    )
