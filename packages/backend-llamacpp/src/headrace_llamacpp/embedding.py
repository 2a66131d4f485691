"""Vectors for texts: the owner of a native context that makes them, and how it is opened."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.common.uncopyable import Uncopyable
from headrace.errors import ClosedError
from headrace.params import EngineParams
from headrace.protocols import EmbedderInfo, Pooling
from headrace_llamacpp import callbacks, logs
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.context import native_params, open_error
from headrace_llamacpp.decoder import QUIETLY
from headrace_llamacpp.failures import check
from headrace_llamacpp.handles import Handle
from headrace_llamacpp.threads import adapt_threads
from headrace_llamacpp.vocabulary import LlamaVocabulary

_NATIVE = {
    Pooling.NONE: lib.LLAMA_POOLING_TYPE_NONE,
    Pooling.MEAN: lib.LLAMA_POOLING_TYPE_MEAN,
    Pooling.CLS: lib.LLAMA_POOLING_TYPE_CLS,
    Pooling.LAST: lib.LLAMA_POOLING_TYPE_LAST,
    Pooling.RANK: lib.LLAMA_POOLING_TYPE_RANK,
}
BRIEF = 64
"""From so many tokens on ggml's flash attention works in tiles on a CPU. A shorter text that is
alone in its call is faster without it: with all-MiniLM-L6-v2 by 8 % at 16 tokens, by 27 % at 48."""
_BY_NUMBER = {str(number): pooling for pooling, number in _NATIVE.items()}
_PLACEHOLDER = re.compile(r"\{(query|document)\}")


def own_pooling(metadata: Mapping[str, Any]) -> Pooling | None:
    """The pooling that a file names; None if it names none that is known."""
    architecture = metadata.get("general.architecture", "")
    return _BY_NUMBER.get(metadata.get(f"{architecture}.pooling_type", ""))


def rerank_prompt(
    vocabulary: LlamaVocabulary, metadata: Mapping[str, Any], query: str, document: str
) -> list[int]:
    """Token ids of a query and a document, as llama.cpp's server puts them together.

    That is the file's template named ``rerank`` if it has one, else BOS, the query, EOS, SEP,
    the document, EOS, as far as the vocabulary adds these tokens.
    """
    template = metadata.get("tokenizer.chat_template.rerank")
    if template is not None:
        values = {"query": query, "document": document}
        prompt = _PLACEHOLDER.sub(lambda found: values[found[1]], template)
        return vocabulary.tokenize(prompt, add_special=False, parse_special=True)

    def special(name: str, otherwise: str = "") -> list[int]:
        known = vocabulary.special_tokens
        token = known.get(name, known.get(otherwise))
        return [token] if name in vocabulary.adds and token is not None else []

    eos = special("eos", otherwise="sep")
    return [
        *special("bos"),
        *vocabulary.tokenize(query, add_special=False, parse_special=False),
        *eos,
        *special("sep"),
        *vocabulary.tokenize(document, add_special=False, parse_special=False),
        *eos,
    ]


def open_embedding_context(
    model: Handle,
    params: EngineParams,
    pooling: Pooling,
    *,
    n_ctx_train: int,
    whole_only: bool,
    on_cpu: bool,
) -> tuple[Handle, EmbedderInfo]:
    """A context of a model that makes vectors, and what it can do.

    Raises:
        ModelMemoryError: If its memory cannot be had.
        ModelLoadError: If llama.cpp refuses for another reason.
    """
    handle = Handle(lib.hr_context_delete, lib.hr_context_new())
    # A text must lie in one micro-batch, and memory need hold no more than one batch.
    n_batch = min(params.n_ubatch, params.n_batch, params.n_ctx or params.n_ubatch)
    # One text at a time where memory splits batches by rules of its own.
    n_texts = 1 if whole_only else min(params.n_sequences, n_batch)
    # An assertion fails if the context has not the same number of tokens for every text.
    reserved = -(-n_batch // n_texts) * n_texts
    native = native_params(params, reserved)
    native.embeddings = True
    native.pooling_type = _NATIVE[pooling]
    native.n_batch = native.n_ubatch = reserved
    native.n_seq_max = n_texts
    # Every token is an output; the library knows no other way.
    native.n_outputs_max = 0
    # Divided memory would be computed in parts, and each part be pooled by itself.
    native.kv_unified = True
    info = ffi.new("hr_embedding_info *")
    report = new_report()
    n_brief = BRIEF if on_cpu and params.flash_attention is None else 0
    lib.hr_embedding_open(handle.pointer, model.pointer, native, n_brief, info, report)
    if report.status == lib.HR_CONTEXT_FAILED:
        raise open_error(report, n_batch)
    check(report, Operation.OPEN)
    adapt_threads(handle, params)
    logs.drain(logging.INFO)  # a warning says that the pooling is not the model's own
    return handle, EmbedderInfo(
        n_dimensions=info.n_dimensions,
        n_batch=n_batch,
        n_text=min(n_batch, n_ctx_train or n_batch),
        n_texts=info.n_texts,
        pooling=pooling,
        interruptible=on_cpu,
    )


class LlamaEmbedder(Uncopyable):
    """A llama.cpp context that makes vectors.

    Args:
        context: The owner of an open ``hr_context *``, closed by this object.
        info: What it can do.
    """

    def __init__(self, context: Handle, info: EmbedderInfo) -> None:
        self.info = info
        self._handle = context
        self._used = False
        self._closed = False

    @property
    def _context(self) -> Any:
        return self._handle.pointer

    def embed(self, call_id: int, texts: Sequence[Sequence[int]]) -> list[array[float]] | None:
        """The vectors of some texts, computed in one native call; see the protocol.

        Raises:
            DecodeError: If the computation failed, or the texts are not within the limits.
            ClosedError: If the embedder is closed before or during the call.
            BaseException: What a signal handler raised meanwhile, which ended the call.
        """
        self._check_open()
        lengths = [len(each) for each in texts]
        per_text = lengths if self.info.pooling is Pooling.NONE else [1] * len(texts)
        sizes = [count * self.info.n_dimensions for count in per_text]
        vectors = array("f", bytes(4 * sum(sizes)))
        report = new_report()
        check_signals = callbacks.in_main_thread()
        lib.hr_embed(
            self._context,
            call_id,
            ffi.new("int32_t[]", [token for text in texts for token in text]),
            ffi.new("int32_t[]", lengths),
            len(texts),
            ffi.from_buffer("float[]", vectors),
            lib.headrace_check if check_signals else ffi.NULL,
            ffi.NULL,
            report,
        )
        if check_signals:
            raised = callbacks.take_error()
            if raised is not None:
                raise raised
        if report.status == lib.HR_INTERRUPTED:
            logs.drain(QUIETLY)
            self._check_open()
            return None
        check(report, Operation.EMBED)
        if logs.pending():
            logs.drain(QUIETLY)
        return _split(vectors, sizes)

    def interrupt(self, call_id: int) -> None:
        """End that call early, or the moment it starts; a stale id does nothing."""
        lib.hr_interrupt(self._context, call_id)

    def close(self) -> None:
        """Free the context. Closing again does nothing; a running call is ended first."""
        self._closed = True
        lib.hr_context_close(self._context)

    def _check_open(self) -> None:
        self._used = True
        if self._closed:
            raise ClosedError("the model was closed", backend="llamacpp")

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or sys.is_finalizing():
            return
        self.close()
        if self._used:  # else an interrupt lost it on its way to whoever asked for it
            told = "a LlamaEmbedder was dropped without close()"
            warnings.warn(told, ResourceWarning, stacklevel=1)


def _split(numbers: array[float], sizes: Sequence[int]) -> list[array[float]]:
    parts = []
    start = 0
    for size in sizes:
        parts.append(numbers[start : start + size])
        start += size
    return parts
