"""Byte-level tokens: every byte is a token, and every byte string round-trips."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headrace.errors import TokenizeError

BOS = 256
"""Begin of sequence, put before a text that starts a history."""
EOS = 257
"""End of sequence: ends a generation."""

FIM = {"fim_pre": 258, "fim_suf": 259, "fim_mid": 260, "fim_rep": 261, "fim_sep": 262}
"""What stands between the parts of a text with a gap."""

SPECIAL_TEXT = {"<bos>": BOS, "<eos>": EOS, **{f"<{name}>": token for name, token in FIM.items()}}
_SPECIAL_BYTES = {token: text.encode() for text, token in SPECIAL_TEXT.items()}
_SPECIAL = re.compile("|".join(map(re.escape, SPECIAL_TEXT)))
_PIECES = [bytes([byte]) for byte in range(256)] + [b""] * len(SPECIAL_TEXT)


class ByteVocabulary:
    """Tokens 0 … 255 are the bytes, then come ``BOS``, ``EOS`` and those of ``FIM``."""

    n_tokens = len(_PIECES)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """The text's UTF-8 bytes, after a ``BOS`` if ``add_special``.

        With ``parse_special``, ``<bos>``, ``<fim_pre>`` and so on in the text become those tokens.
        """
        tokens = [BOS] if add_special else []
        start = 0
        for match in _SPECIAL.finditer(text) if parse_special else ():
            tokens.extend(_utf8(text[start : match.start()]))
            tokens.append(SPECIAL_TEXT[match.group()])
            start = match.end()
        tokens.extend(_utf8(text[start:]))
        return tokens

    def detokenize(self, tokens: Sequence[int], *, special: bool) -> bytes:
        """The bytes of the tokens; control tokens as ``<bos>`` and so on if ``special``."""
        if special:
            return b"".join(_SPECIAL_BYTES.get(token) or _PIECES[token] for token in tokens)
        return b"".join(map(_PIECES.__getitem__, tokens))

    def piece(self, token: int) -> bytes:
        """The token's byte; nothing for control tokens."""
        return _PIECES[token]

    def pieces(self) -> list[bytes]:
        """The bytes of all tokens."""
        return _PIECES

    def is_eog(self, token: int) -> bool:
        """Whether the token is ``EOS``."""
        return token == EOS


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TokenizeError(f"the text cannot be encoded: {error}", backend="fake") from error
