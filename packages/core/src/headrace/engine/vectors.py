"""Vectors and rankings of a model that an in-process library has loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from headrace.backend.abilities import EmbeddingModel, Pooling
from headrace.backend.decoder import DecoderModel
from headrace.common.seam import Seam
from headrace.common.work import Work
from headrace.engine.checked import CheckedVocabulary
from headrace.engine.embedders import Embedders, Place
from headrace.engine.texts import Text, read_texts, too_long
from headrace.errors import ParamsError, UnsupportedError
from headrace.params import EngineParams
from headrace.requests.vectors import EmbedRequest, RankRequest
from headrace.results import ModelInfo, Usage
from headrace.results.vectors import Embeddings, RankedDocument, Ranking, as_array, as_lists

_POOLINGS = [each.value for each in Pooling if each is not Pooling.RANK]


class Vectors:
    """What a model does with its embedders.

    Args:
        model: What the backend loaded.
        params: Settings of the contexts, one for each pooling that is used.
        vocabulary: The model's.
        seam: Names the backend for what it does wrong.
    """

    def __init__(
        self, model: DecoderModel, params: EngineParams, vocabulary: CheckedVocabulary, seam: Seam
    ) -> None:
        self._model = model
        self._params = params
        self._info: ModelInfo = model.info
        self._seam = seam
        self._vocabulary = vocabulary
        self._embedders = Embedders(cast(EmbeddingModel, model), params, seam)
        # Asked once: together these take longer than all other checks of a short text.
        self._chosen: dict[str | None, Pooling] = {}
        self._ranks = False

    def close(self) -> None:
        """Close the embedders; calls that run in them end early."""
        self._embedders.close()

    def embed(self, request: EmbedRequest, work: Work) -> Embeddings:
        """See ``Model.embed``."""
        chosen = self._pooling(request.pooling)
        read = read_texts(request.texts, self._vocabulary)

        def compute(place: Place) -> Embeddings:
            fitting = [self._fitting(place, text, request.truncate) for text in read]
            flat = place.run(fitting, work)
            size = place.embedder.info.n_dimensions
            form = as_array if request.as_array else as_lists
            tokens = chosen is Pooling.NONE
            vectors = form(flat, size, normalize=request.normalize, tokens=tokens)
            return Embeddings(vectors, size, chosen.value, _usage(fitting))

        return self._embedders.use(chosen, compute)

    def rank(self, request: RankRequest, work: Work) -> Ranking:
        """See ``Model.rerank``."""
        if not self._ranks:
            self._check_able("ranks no documents", lambda model: model.rerank_hint())
            self._ranks = True

        def compute(place: Place) -> Ranking:
            pairs = [
                self._pair(place, request.query, f"documents[{index}]", each, request.truncate)
                for index, each in enumerate(request.documents)
            ]
            flat = place.run(pairs, work)
            ranked = [RankedDocument(index, numbers[0]) for index, numbers in enumerate(flat)]
            if request.sort:
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
                f"the model {self._info.name!r} {lack}", hint=hint, backend=self._info.backend
            )

    def _pooling(self, name: str | None) -> Pooling:
        if name is not None and name not in _POOLINGS:
            raise ParamsError(
                f"pooling must be None or one of {', '.join(_POOLINGS)}, got {name!r:.60}"
            )
        chosen = self._chosen.get(name)
        if chosen is None:
            chosen = self._chosen[name] = self._able_pooling(name)
        return chosen

    def _able_pooling(self, name: str | None) -> Pooling:
        """A pooling that a model which makes vectors can do."""
        self._check_able("makes no vectors", lambda model: model.embed_hint())
        if name is not None:
            return Pooling(name)
        with self._seam.during("own_pooling"):
            own = cast(EmbeddingModel, self._model).own_pooling()
        if own is None:
            raise ParamsError(
                f"pooling must be given: the model {self._info.name!r} names none of its own",
                hint="Pass pooling='mean' or 'last', or 'none' for a vector of each token.",
            )
        if own is Pooling.RANK:
            raise UnsupportedError(
                f"the model {self._info.name!r} is a reranker: its own pooling gives a score",
                hint="Call model.rerank, or name a pooling.",
                backend=self._info.backend,
            )
        return own

    def _fitting(self, place: Place, text: Text, truncate: bool) -> list[int]:
        info = place.embedder.info
        if len(text.tokens) <= info.n_text:
            return text.tokens
        if truncate:
            return text.cut(info.n_text, self._vocabulary)
        train = self._info.n_ctx_train
        raise too_long(text.name, len(text.tokens), info, self._params, train)

    def _pair(
        self, place: Place, query: str, name: str, document: str, truncate: bool
    ) -> list[int]:
        limit = place.embedder.info.n_text
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
        return self._fitting(place, pair, truncate=False)

    def _rerank_prompt(self, query: str, document: str) -> list[int]:
        with self._seam.during("rerank_prompt"):
            tokens = cast(EmbeddingModel, self._model).rerank_prompt(query, document)
        self._vocabulary.check(tokens, "rerank_prompt")
        return tokens


def _usage(texts: Sequence[Sequence[int]]) -> Usage:
    return Usage(prompt_tokens=sum(map(len, texts)))
