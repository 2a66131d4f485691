"""The loaded model: what ``headrace.engine`` makes its sessions from."""

from __future__ import annotations

import functools
import sys
import time
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from headrace.common.uncopyable import Uncopyable
from headrace.errors import ClosedError, UnsupportedError
from headrace.params import EngineParams, ModelParams, SamplingParams
from headrace.protocols import Pooling
from headrace.requests.infill import FIM_NAMES
from headrace.results import Capability, ModelInfo
from headrace.results.machine import SystemInfo
from headrace_llamacpp import build
from headrace_llamacpp._native import ffi, lib
from headrace_llamacpp.abilities import ABILITIES
from headrace_llamacpp.adapters import load_control_vector, load_lora
from headrace_llamacpp.changes import Unchanged
from headrace_llamacpp.context import apart_params, open_context
from headrace_llamacpp.decoder import LlamaDecoder
from headrace_llamacpp.devices import chosen_devices
from headrace_llamacpp.embedding import (
    LlamaEmbedder,
    open_embedding_context,
    own_pooling,
    rerank_prompt,
)
from headrace_llamacpp.handles import Handle
from headrace_llamacpp.identity import fingerprint, memory_key
from headrace_llamacpp.loader import Progress, description_of, load_model, metadata_of
from headrace_llamacpp.memory import check_context, check_weights, context_bound
from headrace_llamacpp.recommended import recommended_sampling
from headrace_llamacpp.remote import add_servers
from headrace_llamacpp.requests import overridden
from headrace_llamacpp.system import system_info
from headrace_llamacpp.traits import Traits
from headrace_llamacpp.vocabulary import LlamaVocabulary

if TYPE_CHECKING:
    from headrace.protocols import (
        ChatRequest,
        DecoderInfo,
        Embedder,
        LoadedAdapter,
        RenderedChat,
        SequenceDecoder,
        Vocabulary,
    )
    from headrace_llamacpp.chat import LlamaTemplates


class LlamaModel(Uncopyable):
    """A GGUF file, loaded.

    Args:
        path: The file; see ``headrace_llamacpp.files``.
        params: What of it is loaded, and where.
        progress: Told how far the load is.

    Raises:
        ModelError: One of its subclasses.
    """

    def __init__(self, path: Path, params: ModelParams, progress: Progress | None = None) -> None:
        self._closed = True  # until all of it is there
        self._used = False
        self._path = path
        add_servers(params.rpc_servers)
        check_weights(path, params)
        self._files = Unchanged(path)
        began = time.monotonic()
        self._handle = load_model(path, params, progress)
        load_seconds = time.monotonic() - began
        self._params = params
        self._fingerprint = fingerprint(path)
        self._files.check_load()
        pointer = lib.hr_model_pointer(self._handle.pointer)
        told = metadata_of(pointer)
        metadata = overridden(told, params)
        # Asked now, while nobody else can close the model.
        self._sizes = (lib.llama_model_n_layer(pointer), lib.llama_model_n_embd(pointer))
        self._traits = Traits.of(pointer, metadata, vocab_only=params.vocab_only)
        self._on_cpu = not chosen_devices(params)
        # Closing the model closes its contexts first, whoever holds them.
        self._contexts: weakref.WeakSet[LlamaDecoder | LlamaEmbedder] = weakref.WeakSet()
        vocabulary = LlamaVocabulary(self._handle)
        self.vocabulary: Vocabulary = vocabulary
        self._vocabulary = vocabulary
        self._told = told
        info = _info(path, pointer, metadata, vocabulary)
        self.info = attrs.evolve(info, load_seconds=load_seconds)
        self._closed = False

    def generate_hint(self) -> str | None:
        """Why the model opens no session, or None if it does."""
        return self._traits.generate_hint()

    def capabilities(self, params: EngineParams) -> frozenset[Capability]:
        """What the model can do with these settings."""
        able = set(ABILITIES)
        if self.embed_hint() is not None:
            able.discard(Capability.EMBED)
        if self.rerank_hint() is not None:
            able.discard(Capability.RERANK)
        if not self._traits.can_shift(full_window=params.full_window):
            able.discard(Capability.SHIFT)
        if self._traits.whole_only:
            able.discard(Capability.SPECULATE)
        if not self._on_cpu:
            able.discard(Capability.INTERRUPT)
        if any(name not in self.info.special_tokens for name in FIM_NAMES):
            able.discard(Capability.INFILL)
        if not lib.hr_chat_available():
            able.discard(Capability.CHAT)
        return frozenset(able)

    @functools.cached_property
    def _templates(self) -> LlamaTemplates:
        """Those of the file. Threads that make them at once have one each, and either will do."""
        from headrace_llamacpp.chat import LlamaTemplates
        from headrace_llamacpp.template_source import OwnTemplates

        return LlamaTemplates(self._handle, OwnTemplates(self._told), self._vocabulary)

    def render_chat(self, request: ChatRequest) -> RenderedChat:
        """Render a conversation; see ``headrace.protocols.ChatFormatter``.

        Raises:
            TemplateError: If there is no template, or it cannot be parsed or rendered.
            UnsupportedError: If the binding was compiled without the template engine.
            ClosedError: If the model was closed.
        """
        return self._templates.render(request)

    def recommended_sampling(self) -> SamplingParams:
        """What the file recommends; see ``headrace.protocols.RecommendsSampling``."""
        return recommended_sampling(self.info.metadata)

    def open_decoder(self, params: EngineParams) -> SequenceDecoder:
        """A new context.

        Raises:
            ModelMemoryError: If its memory cannot be had.
            ModelLoadError: If llama.cpp refuses for another reason, or the file was changed.
            ClosedError: If the model was closed.
            UnsupportedError: If it makes no text.
        """
        self._used = True
        if self._closed:
            raise ClosedError("the model was closed", backend="llamacpp")
        hint = self.generate_hint()
        if hint is not None:
            # llama.cpp would go on until an assertion fails.
            raise UnsupportedError(
                f"the model {self.info.name!r} opens no context", hint=hint, backend="llamacpp"
            )
        context, info = self._open_context(params)
        memory = memory_key(params, self._params, self.info.metadata, info.n_ctx_sequence)
        state_key = {"model": self._fingerprint, "memory": memory}
        apart = apart_params(params, info)
        decoder = LlamaDecoder(
            self._handle,
            context,
            info,
            state_key,
            n_vocab=self._vocabulary.n_tokens,
            window=self._traits.n_swa,
            open_apart=lambda: self._open_context(apart)[0],
        )
        self._contexts.add(decoder)
        return decoder

    def _open_context(self, params: EngineParams) -> tuple[Handle, DecoderInfo]:
        # In a forked child there is no pointer, and opening says why.
        if lib.hr_model_pointer(self._handle.pointer) != ffi.NULL:
            self._files.check_mapped()
            check_context(self._path, self._params, params, self._bound(params))
        return open_context(
            self._handle, params, self._traits, self.info.n_ctx_train, on_cpu=self._on_cpu
        )

    def own_pooling(self) -> Pooling | None:
        """The pooling that the file names, if it does."""
        return own_pooling(self.info.metadata)

    def embed_hint(self) -> str | None:
        """Why the model makes no vectors, or None if it does."""
        return self._traits.embed_hint()

    def rerank_hint(self) -> str | None:
        """Why the model ranks no documents, or None if it does."""
        if self.own_pooling() is not Pooling.RANK:
            return "It is no reranker: its file does not name the pooling type rank."
        return self.embed_hint()

    def rerank_prompt(self, query: str, document: str) -> list[int]:
        """Token ids of a query and a document, as llama.cpp's server puts them together."""
        return rerank_prompt(self._vocabulary, self.info.metadata, query, document)

    def open_embedder(self, params: EngineParams, pooling: Pooling) -> Embedder:
        """A new context for vectors.

        Raises:
            ModelMemoryError: If its memory cannot be had.
            ModelLoadError: If llama.cpp refuses for another reason.
            ClosedError: If the model was closed.
        """
        self._used = True
        if self._closed:
            raise ClosedError("the model was closed", backend="llamacpp")
        self._files.check_mapped()
        context, info = open_embedding_context(
            self._handle,
            params,
            pooling,
            n_ctx_train=self.info.n_ctx_train,
            whole_only=self._traits.whole_only,
            on_cpu=self._on_cpu,
        )
        embedder = LlamaEmbedder(context, info)
        self._contexts.add(embedder)
        return embedder

    def system_info(self, params: EngineParams) -> SystemInfo:
        """What a context with these settings computes with."""
        return system_info(self._params, params)

    def _bound(self, params: EngineParams) -> int | None:
        """Bytes that a context on the CPU takes at most; None where that is not known at once."""
        prefix = f"{self.info.architecture}.attention."
        heads = self.info.metadata.get(f"{prefix}head_count", "")
        if self._traits.whole_only or not heads.isdecimal() or int(heads) == 0:
            return None  # recurrent, or a number of heads for each layer
        n_layer, n_embd = self._sizes
        n_head = int(heads)
        sizes = [
            int(self.info.metadata.get(f"{prefix}{each}_length") or n_embd // n_head)
            for each in ("key", "value")
        ]
        return context_bound(
            params,
            n_ctx=params.context_length(self.info.n_ctx_train),
            n_layer=n_layer,
            n_head=n_head,
            head_sizes=sum(sizes),
            n_embd=n_embd,
            n_vocab=self.info.n_vocab,
        )

    def load_adapter(self, path: str) -> LoadedAdapter:
        """Load a LoRA adapter; see ``AdapterModel``."""
        return load_lora(self._handle.pointer, self._path, path)

    def load_control_vector(self, path: str) -> LoadedAdapter:
        """Load a control vector; see ``AdapterModel``."""
        return load_control_vector(self._handle.pointer, path)

    def close(self) -> None:
        """Free the weights, after the contexts. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        for context in list(self._contexts):
            context.close()
        lib.hr_model_close(self._handle.pointer)

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or sys.is_finalizing():
            return
        self.close()
        if self._used:  # else it was lost on its way to whoever loaded it: an interrupt
            warnings.warn(
                f"{self.info.name} was dropped without close()", ResourceWarning, stacklevel=1
            )


def _info(
    path: Path, pointer: Any, metadata: dict[str, str], vocabulary: LlamaVocabulary
) -> ModelInfo:
    architecture = metadata.get("general.architecture", "unknown")
    return ModelInfo(
        name=metadata.get("general.name") or path.stem,
        backend="llamacpp",
        build=build.description(),
        architecture=architecture,
        # Of a vocabulary alone the library says neither, but the file does.
        description=description_of(pointer) or architecture,
        n_vocab=vocabulary.n_tokens,
        n_ctx_train=max(0, lib.llama_model_n_ctx_train(pointer))
        or int(metadata.get(f"{architecture}.context_length") or 0),
        n_params=lib.llama_model_n_params(pointer) or None,
        size_bytes=lib.llama_model_size(pointer) or None,
        special_tokens=vocabulary.special_tokens,
        metadata=dict(metadata),
    )
