"""Constrained output: grammars, regular expressions, choices, JSON schemas.

``values`` has what callers write. All of it becomes llama.cpp's grammar notation, GBNF:
``regex`` and ``schema`` convert, ``writing`` writes it. ``gbnf`` parses it and ``checks`` looks
for what would end in an endless loop or a stack overflow, so that nothing wrong reaches a
backend. ``matching`` and ``deriving`` follow a grammar without a native library.
"""

from headrace.grammar.composed import After, Grammar, Lark, Lazy, StructuralTag, Tag, Trigger
from headrace.grammar.values import Choice, Gbnf, JsonSchema, Regex

__all__ = [
    "After",
    "Choice",
    "Gbnf",
    "Grammar",
    "JsonSchema",
    "Lark",
    "Lazy",
    "Regex",
    "StructuralTag",
    "Tag",
    "Trigger",
]
