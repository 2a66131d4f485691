"""From a grammar of the core's to an ``hr_constraint``.

The core has checked the grammar; what is left for here is what needs a vocabulary: tokens that
are named by their text, and ids that there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.errors import GrammarError
from headrace.grammar import Gbnf, Grammar, Lazy, Trigger
from headrace.grammar.checks import walk
from headrace.grammar.nodes import TokenRef
from headrace.grammar.places import error_at
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check
from headrace_llamacpp.handles import Handle
from headrace_llamacpp.vocabulary import LlamaVocabulary


def constrain(sampler: Any, model: Handle, grammar: Grammar) -> None:
    """Have an ``hr_sampler`` choose only what a grammar allows.

    Raises:
        GrammarError: For a token that the vocabulary does not have, or a trigger's pattern that
            cannot be read.
    """
    triggers = grammar.triggers if isinstance(grammar, Lazy) else ()
    asked, kept = _native(grammar.gbnf, triggers, model)
    report = new_report()
    lib.hr_sampler_constrain(sampler, asked, report)
    del kept
    check(report, Operation.SAMPLER)


def _native(gbnf: Gbnf, triggers: tuple[Trigger, ...], model: Handle) -> tuple[Any, list[Any]]:
    """An ``hr_constraint *``, and what it points into and must outlive its use."""
    text, root = (ffi.new("char[]", each.encode()) for each in (gbnf.text, gbnf.root))
    named = _named_tokens(gbnf, model)
    tokens = [trigger.token for trigger in triggers if trigger.token is not None]
    _check_ids(tokens, model)
    asked = ffi.new("hr_constraint *")
    asked.grammar, asked.root = text, root
    asked.special_tokens = gbnf.special_tokens
    asked.lazy = bool(triggers)
    kept = [text, root]
    begun = _begun_tokens(gbnf.begun, model)
    for name, ids in (("named", named), ("tokens", tokens), ("begun", begun)):
        array = ffi.new("int32_t[]", ids)
        setattr(asked, name, array)
        setattr(asked, f"n_{name}", len(ids))
        kept.append(array)
    for field in ("word", "pattern", "full_pattern"):
        texts = [getattr(trigger, field) for trigger in triggers]
        strings = [ffi.new("char[]", each.encode()) for each in texts if each is not None]
        array = ffi.new("const char *[]", strings)
        setattr(asked, f"{field}s", array)
        setattr(asked, f"n_{field}s", len(strings))
        kept += [strings, array]
    return asked, kept


def _named_tokens(gbnf: Gbnf, model: Handle) -> list[int]:
    """Ids of the tokens that the grammar names and does not exclude."""
    references = [node for node in walk(gbnf.rules.values()) if isinstance(node, TokenRef)]
    if not references:
        return []
    vocabulary = LlamaVocabulary(model)
    return [
        token
        for reference in references
        for token in [_token(reference, vocabulary, gbnf.text)]
        if not reference.negated
    ]


def _begun_tokens(begun: str, model: Handle) -> list[int]:
    """Ids of the text that the grammar begins with, without a space that the tokenizer adds."""
    if not begun:
        return []
    vocabulary = LlamaVocabulary(model)
    ids = vocabulary.tokenize(begun, add_special=False, parse_special=True)
    added = vocabulary.piece(ids[0])[:1].isspace() and not begun[0].isspace()
    return ids[1:] if added else ids


def _token(reference: TokenRef, vocabulary: LlamaVocabulary, text: str) -> int:
    named = reference.token
    if isinstance(named, str):
        ids = vocabulary.tokenize(named, add_special=False, parse_special=True)
        if len(ids) != 1:
            raise error_at("grammar", text, reference.at, f"{named} is no token of this model")
        return ids[0]
    if named >= vocabulary.n_tokens:
        raise error_at(
            "grammar",
            text,
            reference.at,
            f"token {named} is not in the vocabulary (0 … {vocabulary.n_tokens - 1})",
        )
    return named


def _check_ids(tokens: Iterable[int], model: Handle) -> None:
    for token in tokens:
        pointer = lib.hr_model_pointer(model.pointer)
        n_tokens = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(pointer))
        if token >= n_tokens:
            raise GrammarError(
                f"the trigger's token {token} is not in the vocabulary (0 … {n_tokens - 1})",
                backend="llamacpp",
            )
