"""The fake's vectors: drawn from the tokens, so that equal texts have equal ones.

The vector of a token depends on it and the one before, and a little on the whole
text. Texts that share words are therefore nearer to each other than those that
do not, and two different texts have different vectors. A ranking score is the
share of the query's words that the document has.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence

from headrace.errors import ClosedError, DecodeError
from headrace.params import EngineParams
from headrace.protocols import EmbedderInfo, Pooling
from headrace_fake import chain
from headrace_fake.alarm import Alarm
from headrace_fake.misuse import MisuseLog
from headrace_fake.options import FakeOptions, Fault
from headrace_fake.vocabulary import BOS, EOS, ByteVocabulary

N_DIMENSIONS = 32
_WHOLE = 0.125
"""Weight of what depends on the whole text beside what depends on two tokens."""


class FakeEmbedder:
    """Vectors for texts, for one caller at a time.

    Args:
        options: How long to take, when to fail.
        params: What the engine asked for.
        pooling: How tokens' vectors become one.
        next_step: Counts the calls of the model, for ``fault_at``.
        misuse: Where violations of the protocol are noted.
    """

    def __init__(
        self,
        options: FakeOptions,
        params: EngineParams,
        pooling: Pooling,
        *,
        next_step: Callable[[], int],
        misuse: MisuseLog,
    ) -> None:
        n_batch = min(params.n_ubatch, params.n_batch, options.n_batch)
        n_batch = min(n_batch, params.n_ctx or n_batch)
        self.info = EmbedderInfo(
            n_dimensions=1 if pooling is Pooling.RANK else N_DIMENSIONS,
            n_batch=n_batch,
            n_text=min(n_batch, options.n_ctx),
            n_texts=params.n_sequences,
            pooling=pooling,
            interruptible=options.interruptible,
        )
        self._options = options
        self._next_step = next_step
        self._misuse = misuse
        self._alarm = Alarm()
        self._last_id = 0
        self._user: int | None = None
        self._poisoned = False
        self._closed = False

    def embed(self, call_id: int, texts: Sequence[Sequence[int]]) -> list[array[float]] | None:
        """The vectors of some texts; see the protocol."""
        if self._user is not None:
            self._misuse.refuse("the embedder was used while a call was running in it")
        try:
            self._user = threading.get_ident()
            self._check(call_id, texts)
            self._check_open()
            if self._options.on_step is not None:
                self._options.on_step(call_id, ())
            self._perhaps_fail(self._next_step())
            if not self._wait(call_id, texts):
                self._check_open()
                return None
            return [self._pooled(each) for each in texts]
        finally:
            self._user = None

    def interrupt(self, call_id: int) -> None:
        """End that call early, or the moment it starts; a stale id does nothing."""
        self._alarm.ring(call_id)

    def close(self) -> None:
        """Closing again does nothing; a running call is ended."""
        self._closed = True
        self._alarm.ring(self._last_id)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the model was closed", backend="fake")

    def _check(self, call_id: int, texts: Sequence[Sequence[int]]) -> None:
        refuse, info = self._misuse.refuse, self.info
        if call_id <= self._last_id:
            refuse(f"embedding call {call_id} comes after call {self._last_id}")
        self._last_id = call_id
        if not 1 <= len(texts) <= info.n_texts:
            refuse(f"{len(texts)} texts in a call, n_texts={info.n_texts}")
        if sum(map(len, texts)) > info.n_batch:
            refuse(f"more tokens in a call than n_batch={info.n_batch}")
        for tokens in texts:
            if not 1 <= len(tokens) <= info.n_text:
                refuse(f"a text of {len(tokens)} tokens, n_text={info.n_text}")
            if min(tokens) < 0 or max(tokens) >= ByteVocabulary.n_tokens:
                refuse("a text has a token outside the vocabulary")

    def _perhaps_fail(self, step: int) -> None:
        fault = self._options.fault if step in self._options.fault_at else None
        if fault is Fault.KEYBOARD_INTERRUPT:
            raise KeyboardInterrupt
        if fault is Fault.RAISE:
            raise RuntimeError("the fake backend raises, as it was told to")
        self._poisoned = self._poisoned or fault is Fault.POISONED
        if self._poisoned or fault is Fault.FAILED:
            raise DecodeError(
                "the fake backend failed to embed, as it was told to",
                poisoned=self._poisoned,
                backend="fake",
            )

    def _wait(self, call_id: int, texts: Sequence[Sequence[int]]) -> bool:
        """Take the time the call takes; False if it was interrupted."""
        options = self._options
        if self._alarm.rung(call_id):
            return False
        needed = options.delay + options.prefill_delay * (sum(map(len, texts)) - len(texts))
        ringing = call_id if options.interruptible else -1
        return not needed or self._alarm.wait(ringing, needed) >= needed

    def _pooled(self, tokens: Sequence[int]) -> array[float]:
        pooling = self.info.pooling
        if pooling is Pooling.RANK:
            return array("f", [_overlap(tokens)])
        each = _token_vectors(tokens)
        if pooling is Pooling.NONE:
            return array("f", [number for vector in each for number in vector])
        if pooling is Pooling.MEAN:
            return array("f", [sum(column) / len(each) for column in zip(*each, strict=True)])
        return array("f", each[0 if pooling is Pooling.CLS else -1])


def _token_vectors(tokens: Sequence[int]) -> list[list[float]]:
    whole = chain.links(chain.EMPTY, tokens)[-1]
    vectors = []
    before = BOS
    for index, token in enumerate(tokens):
        pair = chain.links(chain.EMPTY, (before, token))[-1]
        all_of_it = chain.link(whole, index)
        vectors.append([_even(pair, i) + _WHOLE * _even(all_of_it, i) for i in range(N_DIMENSIONS)])
        before = token
    return vectors


def _even(hash_: int, salt: int) -> float:
    """A number from -1 to 1."""
    return chain.scatter(hash_, salt + 1) / 2**63 - 1.0


def rank_prompt(query: str, document: str) -> list[int]:
    """The tokens of a query and a document, an ``EOS`` after each."""
    return [BOS, *query.encode(), EOS, *document.encode(), EOS]


def _overlap(tokens: Sequence[int]) -> float:
    """The share of the words before the first ``EOS`` that come again after it."""
    texts: list[bytearray] = [bytearray()]
    for token in tokens:
        if token == EOS:
            texts.append(bytearray())
        elif token != BOS:
            texts[-1].append(token)
    query = set(bytes(texts[0]).lower().split())
    document = set(b" ".join(map(bytes, texts[1:])).lower().split())
    return len(query & document) / max(1, len(query))
