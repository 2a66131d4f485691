"""Text to tokens and back, in the words of llama-server and of vLLM."""

from __future__ import annotations

import msgspec


class TokenizeRequest(msgspec.Struct, kw_only=True):
    """``POST /tokenize``: ``content`` as llama-server has it, or ``prompt`` as vLLM has it."""

    content: str | None = None
    prompt: str | None = None
    model: str | None = None
    add_special: bool | None = None
    add_special_tokens: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None


class Piece(msgspec.Struct):
    """A token and its text; bytes where they are part of a character."""

    id: int
    piece: str | list[int]


class Tokens(msgspec.Struct):
    """The tokens of a text."""

    tokens: list[int | Piece]
    count: int
    max_model_len: int


class DetokenizeRequest(msgspec.Struct, kw_only=True):
    """``POST /detokenize``."""

    tokens: list[int]
    model: str | None = None


class Text(msgspec.Struct):
    """The text of tokens, under both names."""

    content: str
    prompt: str
