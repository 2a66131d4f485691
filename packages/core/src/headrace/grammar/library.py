"""How llguidance is called: with limits, on a stack that no grammar overflows, and never unheard.

llguidance tells nothing by exceptions: a matcher that failed allows its end, as one does that is
complete. So every call here and in ``headrace.masks`` is followed by a look at ``is_error``.

It compiles recursively, and a chain of references of some thousands would end the process. The
checks of this package bound such chains, and what is left runs on a thread with a stack of its
own, ``STACK`` bytes of address space.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from headrace.errors import GrammarError, UnsupportedError

STACK = 64 << 20
"""Bytes of the stack that grammars are compiled on."""

_T = TypeVar("_T")
_starting = threading.Lock()
"""Held from setting the size of new stacks until the thread that wants it has started."""


def _forget_lock() -> None:
    """Have a forked child begin with a free lock: whoever held it is not there."""
    global _starting
    _starting = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


def on_deep_stack(function: Callable[[], _T]) -> _T:
    """Call it on a thread whose stack is ``STACK`` bytes, and return what it returns.

    Raises:
        BaseException: What the function raised.
    """
    outcome: list[Callable[[], _T]] = []

    def run() -> None:
        try:
            found = function()
            outcome.append(lambda: found)
        except BaseException as error:
            raised = error

            def again() -> _T:
                raise raised

            outcome.append(again)

    thread = threading.Thread(target=run, name="headrace-grammar", daemon=True)
    with _starting:
        before = threading.stack_size(STACK)
        try:
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    return outcome[0]()


def llguidance() -> ModuleType:
    """The library, imported when the first grammar is made.

    Raises:
        UnsupportedError: If it cannot be imported.
    """
    try:
        return importlib.import_module("llguidance")
    except ImportError as error:
        raise UnsupportedError(
            f"grammars need the package llguidance, which cannot be imported: {error}",
            hint="Install it with pip install 'llguidance>=1.9.1,<1.10'; where there is no wheel, "
            "that takes a Rust compiler.",
        ) from error


def new_matcher(tokenizer: Any, source: str) -> Any:
    """An ``llguidance.LLMatcher`` at the beginning of what a source matches.

    Args:
        tokenizer: An ``llguidance.LLTokenizer``.
        source: A grammar in llguidance's notation.

    Raises:
        GrammarError: With llguidance's reason, if it refuses the source.
    """
    made = llguidance().LLMatcher
    matcher = on_deep_stack(lambda: made(tokenizer, source, log_level=0))
    if matcher.is_error():
        raise GrammarError(reason(matcher.get_error()))
    return matcher


def refusal(source: str) -> str | None:
    """Why llguidance refuses a grammar, whatever the vocabulary; None if it does not."""
    validate = llguidance().LLMatcher.validate_grammar
    told = on_deep_stack(lambda: validate(source))
    return reason(told) if told else None


def reason(told: str) -> str:
    """The first line of what llguidance says: the rest is its state, for its authors."""
    return told.partition("\n")[0].strip() or "llguidance gives no reason"
