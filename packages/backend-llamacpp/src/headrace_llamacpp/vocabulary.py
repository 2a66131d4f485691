"""Text to tokens and back, by llama.cpp's tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.errors import TokenizeError
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.callbacks import interruptible
from headrace_llamacpp.failures import check
from headrace_llamacpp.handles import Handle

_FIM = ("fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep")
_SPECIALS = ("bos", "eos", "eot", "sep", "nl", "pad", "mask", *_FIM)
_PIECE_SIZE = 64
_MEAN_SIZE = 16
"""Bytes of a token that there is room for at first; in large vocabularies it is 6 to 8."""


class LlamaVocabulary:
    """The vocabulary of a loaded model; usable from any thread until the model is closed.

    Args:
        handle: The owner of the model's ``hr_model *``.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        vocabulary = lib.llama_model_get_vocab(lib.hr_model_pointer(handle.pointer))
        self.n_tokens: int = lib.llama_vocab_n_tokens(vocabulary)
        self.special_tokens = _special_tokens(vocabulary)
        self.adds = _added(vocabulary)
        """Which of ``bos``, ``eos`` and ``sep`` the model expects around texts."""
        self._eog = _eog_tokens(handle.pointer)
        # Every token of every stream asks for its piece; a native call each would cost a
        # microsecond. Two threads that fill the same entry write the same bytes.
        self._pieces: dict[int, bytes] = {}

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of a text.

        Raises:
            TokenizeError: If it is no valid Unicode, or too long, or llama.cpp refuses it.
        """
        data = _encoded(text)
        report = new_report()
        count = ffi.new("int32_t *")
        # No tokenizer makes more tokens than bytes, save those that it puts around the text.
        capacity = len(data) + 16
        while True:
            ids = ffi.new("int32_t[]", capacity)
            arguments = (data, len(data), add_special, parse_special, ids, capacity, count)
            interruptible(
                lambda *asked, given=arguments: lib.hr_tokenize(
                    self._handle.pointer, *given, *asked, report
                )
            )
            if report.status != lib.HR_BUFFER_TOO_SMALL or count[0] <= capacity:
                check(report, Operation.TEXT)
                return ffi.unpack(ids, count[0])  # type: ignore[no-any-return]
            capacity = count[0]

    def detokenize(self, tokens: Sequence[int], *, special: bool) -> bytes:
        """Bytes of tokens as one text; control tokens only if ``special``.

        Raises:
            TokenizeError: If an id is not in the vocabulary.
        """
        self._check_ids(tokens)
        ids = ffi.new("int32_t[]", list(tokens))
        report = new_report()
        count = ffi.new("int32_t *")
        capacity = 16 * len(tokens) + _PIECE_SIZE
        while True:
            buffer = ffi.new("char[]", capacity)
            status = lib.hr_detokenize(
                self._handle.pointer, ids, len(tokens), special, buffer, capacity, count, report
            )
            if status != lib.HR_BUFFER_TOO_SMALL or count[0] <= capacity:
                check(report, Operation.TEXT)
                return bytes(ffi.buffer(buffer, count[0]))
            capacity = count[0]

    def piece(self, token: int) -> bytes:
        """Bytes of one token as it appears in a stream; empty for control tokens.

        Raises:
            TokenizeError: If the id is not in the vocabulary.
        """
        try:
            return self._pieces[token]
        except KeyError:
            return self._pieces.setdefault(token, self._native_piece(token))

    def pieces(self) -> list[bytes]:
        """Bytes of all tokens in their order, each as ``piece`` gives it."""
        ends = ffi.new("int64_t[]", self.n_tokens)
        count = ffi.new("int64_t *")
        report = new_report()
        capacity = _MEAN_SIZE * self.n_tokens
        while True:
            buffer = ffi.new("char[]", capacity)
            status = lib.hr_pieces(self._handle.pointer, buffer, capacity, ends, count, report)
            if status != lib.HR_BUFFER_TOO_SMALL or count[0] <= capacity:
                check(report, Operation.TEXT)
                break
            capacity = count[0]
        data = bytes(ffi.buffer(buffer, count[0]))
        stops = ffi.unpack(ends, self.n_tokens)
        return [data[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]

    def is_eog(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return token in self._eog

    def control_token(self, text: str) -> int | None:
        """The control token that a text names, if it does; a stream has no text for it.

        Raises:
            TokenizeError: See ``tokenize``.
        """
        found = self.tokenize(text, add_special=False, parse_special=True)
        if len(found) == 1 and not self.piece(found[0]):
            return found[0]
        return None

    def _native_piece(self, token: int) -> bytes:
        self._check_ids((token,))
        report = new_report()
        count = ffi.new("int32_t *")
        capacity = _PIECE_SIZE
        while True:
            buffer = ffi.new("char[]", capacity)
            status = lib.hr_piece(self._handle.pointer, token, buffer, capacity, count, report)
            if status != lib.HR_BUFFER_TOO_SMALL or count[0] <= capacity:
                check(report, Operation.TEXT)
                return bytes(ffi.buffer(buffer, count[0]))
            capacity = count[0]

    def _check_ids(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            if not 0 <= token < self.n_tokens:
                raise TokenizeError(
                    f"token id {token} is not in the vocabulary (0 … {self.n_tokens - 1})",
                    backend="llamacpp",
                )


def _encoded(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TokenizeError(
            f"the text has a lone surrogate at position {error.start}: {text[error.start]!r}",
            hint="Decode the bytes it came from with errors='replace'.",
            backend="llamacpp",
        ) from None
    limit = lib.hr_text_limit()
    if len(data) > limit:
        raise TokenizeError(
            f"the text has {len(data)} bytes; at most {limit} are tokenized at once",
            hint="Tokenize it in parts.",
            backend="llamacpp",
        )
    return data


def _special_tokens(vocabulary: Any) -> dict[str, int]:
    found = {name: getattr(lib, f"llama_vocab_{name}")(vocabulary) for name in _SPECIALS}
    return {name: token for name, token in found.items() if token >= 0}


def _added(vocabulary: Any) -> frozenset[str]:
    names = ("bos", "eos", "sep")
    return frozenset(
        name for name in names if getattr(lib, f"llama_vocab_get_add_{name}")(vocabulary)
    )


def _eog_tokens(handle: Any) -> frozenset[int]:
    count = lib.hr_model_eog(handle, ffi.NULL, 0)
    ids = ffi.new("int32_t[]", max(1, count))
    lib.hr_model_eog(handle, ids, count)
    return frozenset(ffi.unpack(ids, count))
