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
    written: str | None = None
    """What it was before special tokens were added; None: its caller gave the tokens."""

    def cut(self, length: int, vocabulary: Vocabulary) -> list[int]:
        """The first tokens, with the special ones around them."""
        before, after = self._added(vocabulary)
        end = self.tokens[len(self.tokens) - after :]
        return [*self.tokens[: max(before, length - len(end))], *end][:length]

    def _added(self, vocabulary: Vocabulary) -> tuple[int, int]:
        """How many special tokens stand before it and after it."""
        if self.written is None:
            return 0, 0
        plain = vocabulary.tokenize(self.written, add_special=False, parse_special=False)
        added = len(self.tokens) - len(plain)
        for before in range(added + 1):
            if self.tokens[before : before + len(plain)] == plain:
                return before, added - before
        return 0, 0


def read_texts(texts: Sequence[str | tuple[int, ...]], vocabulary: Vocabulary) -> list[Text]:
    """Texts as token ids; to a str the model's special tokens are added.

    Raises:
        ParamsError: If a text has no tokens.
        TokenizeError: If the library refuses one.
    """
    return [_read(f"texts[{index}]", each, vocabulary) for index, each in enumerate(texts)]


def _read(name: str, text: str | tuple[int, ...], vocabulary: Vocabulary) -> Text:
    if isinstance(text, str):
        tokens = vocabulary.tokenize(text, add_special=True, parse_special=False)
        read = Text(name, tokens, text)
    else:
        read = Text(name, list(text))
    if not read.tokens:
        raise ParamsError(
            f"{name} has no tokens",
            hint="Leave empty texts out; this model adds no special tokens.",
        )
    return read


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
        n_tokens=count,
        n_ctx=info.n_text,
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
