"""The fake's loaded model: what ``headrace.engine`` makes its sessions from."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from headrace.errors import ClosedError
from headrace.params import EngineParams, ModelParams
from headrace.protocols import Pooling
from headrace.results import ModelInfo
from headrace.results.machine import SystemInfo
from headrace_fake import memory_needs
from headrace_fake.adapters import FakeAdapter
from headrace_fake.decoder import FakeDecoder
from headrace_fake.embedder import FakeEmbedder, rank_prompt
from headrace_fake.misuse import MisuseLog
from headrace_fake.options import FakeOptions
from headrace_fake.vocabulary import BOS, EOS, FIM, ByteVocabulary

if TYPE_CHECKING:
    from headrace.protocols import (
        ChatRequest,
        Embedder,
        LoadedAdapter,
        RenderedChat,
        SequenceDecoder,
        Vocabulary,
    )


class FakeModel:
    """A script and a byte-level vocabulary.

    Args:
        options: What its decoders do.
        params: What of it is loaded.
        build: Version named in receipts.
        misuse: Where violations of the protocol are noted.
    """

    def __init__(
        self, options: FakeOptions, params: ModelParams, *, build: str, misuse: MisuseLog
    ) -> None:
        self.vocabulary: Vocabulary = ByteVocabulary()
        self.info = ModelInfo(
            name="fake",
            backend="fake",
            build=build,
            architecture="script",
            description=_description(options),
            n_vocab=ByteVocabulary.n_tokens,
            n_ctx_train=options.n_ctx,
            special_tokens={"bos": BOS, "eos": EOS, **FIM},
            metadata={"general.architecture": "script"},
        )
        self.decoders: list[FakeDecoder] = []
        """The decoders that are open, oldest first."""
        self._options = options
        self._vocab_only = params.vocab_only
        self._check_memory = params.check_memory
        self._misuse = misuse
        self._steps = itertools.count(1)
        self._closed = False

    def generate_hint(self) -> str | None:
        """What to do to open a session, if the vocabulary alone was loaded."""
        return "Load it without vocab_only=True." if self._vocab_only else None

    def render_chat(self, request: ChatRequest) -> RenderedChat:
        """Render a conversation in the fake's own format, see ``headrace_fake.chat``.

        Raises:
            UnsupportedError: If another template was given.
        """
        from headrace_fake.chat import render

        return render(request)

    def open_decoder(self, params: EngineParams) -> SequenceDecoder:
        """A new, empty context."""
        if self._closed:
            raise ClosedError("the model was closed", backend="fake")
        if self._check_memory:
            memory_needs.check(self._options, params)
        decoder = FakeDecoder(
            self._options,
            params,
            model=self,
            next_step=self._steps.__next__,
            misuse=self._misuse,
            on_close=self.decoders.remove,
            check_memory=self._check_memory,
        )
        self.decoders.append(decoder)
        return decoder

    def own_pooling(self) -> Pooling:
        """The mean."""
        return Pooling.MEAN

    def embed_hint(self) -> str | None:
        """As for sessions: the vocabulary alone is too little."""
        return self.generate_hint()

    def rerank_hint(self) -> str | None:
        """The same."""
        return self.generate_hint()

    def rerank_prompt(self, query: str, document: str) -> list[int]:
        """The tokens of both, an ``EOS`` after each."""
        return rank_prompt(query, document)

    def open_embedder(self, params: EngineParams, pooling: Pooling) -> Embedder:
        """A new context for vectors."""
        if self._closed:
            raise ClosedError("the model was closed", backend="fake")
        return FakeEmbedder(
            self._options,
            params,
            pooling,
            next_step=self._steps.__next__,
            misuse=self._misuse,
        )

    def system_info(self, params: EngineParams) -> SystemInfo:
        """Nothing but threads that do not exist."""
        n_threads = params.n_threads or 1
        return SystemInfo(
            backend="fake",
            build=self.info.build,
            devices=(memory_needs.DEVICE,),
            n_threads=n_threads,
            n_threads_batch=params.n_threads_batch or n_threads,
        )

    def load_adapter(self, path: str) -> LoadedAdapter:
        """Make an adapter from a reference such as ``fake:Ahoy``."""
        return FakeAdapter(path, self)

    def load_control_vector(self, path: str) -> LoadedAdapter:
        """Make a control vector from such a reference."""
        return FakeAdapter(path, self, is_vector=True)

    def close(self) -> None:
        """Closing again does nothing; closing with open decoders is a misuse."""
        for decoder in [each for each in self.decoders if not each.stepped]:
            decoder.close()  # an interrupt may lose one on its way to the engine
        if self.decoders:
            self._misuse.refuse(f"the model was closed with {len(self.decoders)} decoders open")
        self._closed = True


def _description(options: FakeOptions) -> str:
    if options.script is None:
        return f"words drawn from seed {options.seed}"
    return f"a script of {len(options.script)} bytes"
