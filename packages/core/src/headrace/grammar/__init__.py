"""Constrained output: grammars, regular expressions, choices.

``values`` has what callers write. All of it becomes llama.cpp's grammar notation, GBNF:
``regex`` converts, ``writing`` writes it. ``gbnf`` parses it and ``checks`` looks
for what would end in an endless loop or a stack overflow, so that nothing wrong reaches a
backend.
"""

from headrace.grammar.values import Choice, Gbnf, Grammar, Lazy, Regex, Trigger

__all__ = ["Choice", "Gbnf", "Grammar", "Lazy", "Regex", "Trigger"]
