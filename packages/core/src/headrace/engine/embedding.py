"""``embed`` and ``rerank`` of a model that an in-process library has loaded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, cast

from headrace.backend.abilities import EmbeddingModel, Pooling
from headrace.backend.decoder import DecoderModel
from headrace.bases import ModelBase
from headrace.common.seam import Seam
from headrace.common.workers import in_worker
from headrace.engine.checked import CheckedVocabulary
from headrace.engine.texts import Text, read_texts, too_long
from headrace.engine.vectors import Embedders, Progress, Slot, Work
from headrace.errors import ParamsError, UnsupportedError
from headrace.params import EngineParams
from headrace.requests.checks import check_flags, check_text
from headrace.results import ModelInfo, Usage
from headrace.results.vectors import (
    Embeddings,
    RankedDocument,
    Ranking,
    as_array,
    as_lists,
    check_numpy,
)

_POOLINGS = [each.value for each in Pooling if each is not Pooling.RANK]


class EmbeddingMethods(ModelBase):
    """Vectors and rankings, for ``EngineModel`` to inherit.

    Args:
        model: What the backend loaded.
        params: Settings of the contexts, one for each pooling that is used.
    """

    def __init__(self, model: DecoderModel, params: EngineParams) -> None:
        super().__init__()
        self.engine_params = params
        self._model = model
        self.info: ModelInfo = model.info
        self._seam = Seam(self.info.backend)
        self._vocabulary = CheckedVocabulary(model.vocabulary, self._seam)
        self._embedders = Embedders(cast(EmbeddingModel, model), params, self._seam)

    @abstractmethod
    def _check_open(self) -> None:
        """Raise if the model was closed, or belongs to another process."""

    def embed(
        self,
        texts: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
        *,
        pooling: str | None = None,
        normalize: bool = True,
        truncate: bool = False,
        as_array: bool = False,
        progress: Progress | None = None,
    ) -> Embeddings:
        """Vectors for texts.

        Several texts are computed in one native call, as many as ``EngineParams.n_ubatch`` tokens
        and ``n_sequences`` allow. Threads may embed on one model; they take turns.

        Args:
            texts: One text or several, each a str or its token ids. To a str the model's special
                tokens are added, so that an empty one is these alone.
            pooling: ``mean``, ``cls``, ``last``, or ``none`` for one vector a token; None: what
                the model was made for.
            normalize: Give every vector a Euclidean length of 1.
            truncate: Cut texts that are too long, keeping the special tokens around them.
            as_array: Return numpy arrays of float32 instead of lists.
            progress: Called with the share of texts done after every native call.

        Returns:
            The vectors in the order of the texts, also if it is only one.

        Raises:
            ParamsError: For a wrong argument, or a text without a token.
            TokenizeError: For lone surrogates or ids outside the vocabulary.
            ContextFullError: If a text is too long.
            UnsupportedError: If the model makes no vectors, or numpy is missing.
            ModelMemoryError: If the memory of the context cannot be had.
            DecodeError: If the computation failed.
        """
        return self._embed(Work(), texts, pooling, normalize, truncate, as_array, progress)

    async def aembed(
        self,
        texts: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
        *,
        pooling: str | None = None,
        normalize: bool = True,
        truncate: bool = False,
        as_array: bool = False,
        progress: Progress | None = None,
    ) -> Embeddings:
        """``embed`` for a task of asyncio or trio; cancelling the task ends it inside a call.

        ``progress`` is called in a worker thread.
        """
        work = Work()
        return await in_worker(
            lambda: self._embed(work, texts, pooling, normalize, truncate, as_array, progress),
            cancel=work.cancel,
        )

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        sort: bool = False,
        truncate: bool = False,
        progress: Progress | None = None,
    ) -> Ranking:
        """How well each document answers the query, by a reranking model.

        Args:
            query: The question.
            documents: What may answer it.
            sort: Put the best first, equals in their order; otherwise the documents' order is kept.
            truncate: Cut documents that are too long.
            progress: Called with the share of documents done after every native call.

        Raises:
            ParamsError: For a wrong argument.
            TokenizeError: For lone surrogates.
            ContextFullError: If a document together with the query is too long.
            UnsupportedError: If the model is no reranker.
            ModelMemoryError: If the memory of the context cannot be had.
            DecodeError: If the computation failed.
        """
        return self._rerank(Work(), query, documents, sort, truncate, progress)

    async def arerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        sort: bool = False,
        truncate: bool = False,
        progress: Progress | None = None,
    ) -> Ranking:
        """``rerank`` for a task of asyncio or trio; cancelling the task ends it inside a call.

        ``progress`` is called in a worker thread.
        """
        work = Work()
        return await in_worker(
            lambda: self._rerank(work, query, documents, sort, truncate, progress),
            cancel=work.cancel,
        )

    def _embed(
        self,
        work: Work,
        texts: Any,
        pooling: str | None,
        normalize: bool,
        truncate: bool,
        arrays: bool,
        progress: Progress | None,
    ) -> Embeddings:
        self._check_open()
        check_flags(normalize=normalize, truncate=truncate, as_array=arrays)
        chosen = self._pooling(pooling)
        if arrays:
            check_numpy()
        read = read_texts(texts, self._vocabulary)

        def compute(slot: Slot) -> Embeddings:
            fitting = [self._fitting(slot, text, truncate) for text in read]
            flat = slot.run(fitting, work, progress)
            size = slot.embedder.info.n_dimensions
            form = as_array if arrays else as_lists
            vectors = form(flat, size, normalize=normalize, tokens=chosen is Pooling.NONE)
            return Embeddings(vectors, size, chosen.value, _usage(fitting))

        return self._embedders.use(chosen, compute)

    def _rerank(
        self,
        work: Work,
        query: Any,
        documents: Any,
        sort: bool,
        truncate: bool,
        progress: Progress | None,
    ) -> Ranking:
        self._check_open()
        check_flags(sort=sort, truncate=truncate)
        self._check_able("ranks no documents", lambda model: model.rerank_hint())
        check_text("query", query)
        given = _documents(documents)

        def compute(slot: Slot) -> Ranking:
            pairs = [
                self._pair(slot, query, f"documents[{index}]", each, truncate)
                for index, each in enumerate(given)
            ]
            flat = slot.run(pairs, work, progress)
            ranked = [RankedDocument(index, numbers[0]) for index, numbers in enumerate(flat)]
            if sort:
                ranked.sort(key=lambda each: -each.score)
            return Ranking(tuple(ranked), _usage(pairs))

        return self._embedders.use(Pooling.RANK, compute)

    def _check_able(self, lack: str, hint_of: Callable[[EmbeddingModel], str | None]) -> None:
        hint: str | None = "Its backend has no vectors."
        if isinstance(self._model, EmbeddingModel):
            with self._seam.during("embed_hint or rerank_hint"):
                hint = hint_of(self._model)
        if hint is not None:
            raise UnsupportedError(
                f"the model {self.info.name!r} {lack}", hint=hint, backend=self.info.backend
            )

    def _pooling(self, name: str | None) -> Pooling:
        if name is not None and name not in _POOLINGS:
            raise ParamsError(
                f"pooling must be None or one of {', '.join(_POOLINGS)}, got {name!r:.60}"
            )
        self._check_able("makes no vectors", lambda model: model.embed_hint())
        if name is not None:
            return Pooling(name)
        with self._seam.during("own_pooling"):
            own = cast(EmbeddingModel, self._model).own_pooling()
        if own is None:
            raise ParamsError(
                f"pooling must be given: the model {self.info.name!r} names none of its own",
                hint="Pass pooling='mean' or 'last', or 'none' for a vector of each token.",
            )
        if own is Pooling.RANK:
            raise UnsupportedError(
                f"the model {self.info.name!r} is a reranker: its own pooling gives a score",
                hint="Call model.rerank, or name a pooling.",
                backend=self.info.backend,
            )
        return own

    def _fitting(self, slot: Slot, text: Text, truncate: bool) -> list[int]:
        info = slot.embedder.info
        if len(text.tokens) <= info.n_text:
            return text.tokens
        if truncate:
            return text.cut(info.n_text)
        train = self.info.n_ctx_train
        raise too_long(text.name, len(text.tokens), info, self.engine_params, train)

    def _pair(self, slot: Slot, query: str, name: str, document: str, truncate: bool) -> list[int]:
        limit = slot.embedder.info.n_text
        tokens = self._rerank_prompt(query, document)
        vocabulary = self._vocabulary
        while truncate and len(tokens) > limit and document:
            ids = vocabulary.tokenize(document, add_special=False, parse_special=False)
            kept = ids[: max(0, len(ids) - (len(tokens) - limit))]
            # Fewer characters each time, whatever the tokens of what is left come to.
            shorter = vocabulary.detokenize(kept, special=False).decode(errors="ignore")
            document = shorter if len(shorter) < len(document) else document[:-1]
            tokens = self._rerank_prompt(query, document)
        pair = Text(f"the query with {name}", tokens)
        return self._fitting(slot, pair, truncate=False)

    def _rerank_prompt(self, query: str, document: str) -> list[int]:
        with self._seam.during("rerank_prompt"):
            tokens = cast(EmbeddingModel, self._model).rerank_prompt(query, document)
        self._vocabulary.check(tokens, "rerank_prompt")
        return tokens


def _documents(documents: Any) -> list[str]:
    if isinstance(documents, (str, bytes)) or not isinstance(documents, Sequence):
        raise ParamsError(f"documents must be a sequence of str, got {documents!r:.60}")
    for index, each in enumerate(documents):
        check_text(f"documents[{index}]", each)
    return list(documents)


def _usage(texts: Sequence[Sequence[int]]) -> Usage:
    return Usage(prompt_tokens=sum(map(len, texts)))
