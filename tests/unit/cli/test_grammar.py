"""Options of ``headrace run`` that constrain the output."""

from __future__ import annotations

import re


def test_a_pattern_a_choice_and_a_schema(call, tmp_path):
    """Each holds the output to itself."""
    grammar = tmp_path / "list.gbnf"
    grammar.write_text('root ::= "[" [0-9]{2} "]"', encoding="utf-8")
    lark = tmp_path / "list.lark"
    lark.write_text('start: "<" /[0-9]{2}/ ">"', encoding="utf-8")
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "integer", "minimum": 7, "maximum": 8}', encoding="utf-8")
    for options, pattern in (
        (["--regex", "[0-9]{3}"], "[0-9]{3}"),
        (["--choice", "yes", "--choice", "no"], "yes|no"),
        (["--grammar", str(grammar)], r"\[[0-9]{2}\]"),
        (["--lark", str(lark)], "<[0-9]{2}>"),
        (["--json-schema", str(schema)], "7|8"),
        (["--json-schema", '{"type": "boolean"}'], "true|false"),
    ):
        result = call("run", "fake:", "x", "-q", *options)
        assert result.code == 0, result.err
        assert re.fullmatch(pattern, result.out.strip())


def test_mistakes_point_at_the_place(call, tmp_path):
    """Before a model is loaded."""
    for options, words in (
        (["--regex", "(a"], "line 1, column 1"),
        (["--json-schema", '{"type": "x"}'], "#/type"),
        (["--grammar", str(tmp_path / "none.gbnf")], "cannot be read"),
        (["--regex", "a", "--choice", "b"], "only one of"),
    ):
        result = call("run", "fake:", "x", *options)
        assert result.code != 0
        assert words in result.err
