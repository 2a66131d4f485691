"""Constrained output: grammars, JSON schemas, regular expressions, choices.

``values`` and ``composed`` have what callers write. Each is checked when it is made and has a
``source`` in the notation of llguidance, which follows outputs: ``json_schema`` and ``regular``
write those of schemas and patterns, ``gbnf`` reads llama.cpp's notation, ``lark`` writes what was
read, and ``dormant`` what waits for a trigger. ``checks`` and ``shape`` look for what would end in
an endless loop or a stack overflow. ``library`` is how llguidance is called.
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
