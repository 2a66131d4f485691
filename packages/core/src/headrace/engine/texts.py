"""What is embedded: from callers' texts to token ids that fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from headrace.backend.abilities import EmbedderInfo
from headrace.backend.decoder import Vocabulary
from headrace.errors import ContextFullError, ParamsError
from headrace.params import EngineParams


@attrs.frozen
class Text:
    """One text as token ids."""

    name: str
    """What errors call it, such as ``texts[3]``."""
    tokens: list[int]
    n_before: int = 0
    """Special tokens at its beginning, which a cut keeps."""
    n_after: int = 0
    """Special tokens at its end, which a cut keeps."""

    def cut(self, length: int) -> list[int]:
        """The first tokens, with the special ones around them."""
        end = self.tokens[len(self.tokens) - self.n_after :]
        return [*self.tokens[: max(self.n_before, length - len(end))], *end][:length]


def read_texts(texts: Sequence[str | tuple[int, ...]], vocabulary: Vocabulary) -> list[Text]:
    """Texts as token ids; to a str the model's special tokens are added.

    Raises:
        ParamsError: If a text has no tokens.
        TokenizeError: If the library refuses one.
    """
    return [_read(f"texts[{index}]", each, vocabulary) for index, each in enumerate(texts)]


def _read(name: str, text: str | tuple[int, ...], vocabulary: Vocabulary) -> Text:
    read = _tokenized(name, text, vocabulary) if isinstance(text, str) else Text(name, list(text))
    if not read.tokens:
        raise ParamsError(
            f"{name} has no tokens",
            hint="Leave empty texts out; this model adds no special tokens.",
        )
    return read


def _tokenized(name: str, text: str, vocabulary: Vocabulary) -> Text:
    tokens = vocabulary.tokenize(text, add_special=True, parse_special=False)
    plain = vocabulary.tokenize(text, add_special=False, parse_special=False)
    added = len(tokens) - len(plain)
    for before in range(added + 1):
        if tokens[before : before + len(plain)] == plain:
            return Text(name, tokens, before, added - before)
    return Text(name, tokens)


def too_long(
    name: str, count: int, info: EmbedderInfo, params: EngineParams, n_ctx_train: int
) -> ContextFullError:
    """The error for a text of too many tokens, with what can be done."""
    if info.n_text == n_ctx_train:
        remedy = "The model was made for no more: split the text"
    else:
        settings = f"n_ubatch={params.n_ubatch}, n_batch={params.n_batch}, n_ctx={params.n_ctx}"
        remedy = f"Raise n_ubatch, n_batch and n_ctx of EngineParams ({settings}), split the text"
    return ContextFullError(
        f"{name} has {count} tokens, more than the {info.n_text} that are embedded at once",
        hint=f"{remedy}, or pass truncate=True.",
    )


def batches(
    texts: Sequence[Sequence[int]], info: EmbedderInfo
) -> Iterator[Sequence[Sequence[int]]]:
    """The texts in their order, as many together as a call may have."""
    start = 0
    total = 0
    for index, tokens in enumerate(texts):
        if index > start and (index - start >= info.n_texts or total + len(tokens) > info.n_batch):
            yield texts[start:index]
            start, total = index, 0
        total += len(tokens)
    if start < len(texts):
        yield texts[start:]
