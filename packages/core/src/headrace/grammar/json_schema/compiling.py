"""``schema_source``: what llguidance is given for a JSON schema, after it has agreed to it."""

from __future__ import annotations

import json
from typing import Any

from headrace.errors import GrammarError
from headrace.grammar import library
from headrace.grammar.json_schema.endings import endless, ends
from headrace.grammar.json_schema.objects import Leak
from headrace.grammar.json_schema.reading import read_schema
from headrace.grammar.json_schema.rewriting import CHECK, Rewriter, Written
from headrace.grammar.json_schema.sizes import MAX_SIZE, Sizes
from headrace.grammar.sources import HEADER

WHITE_SPACE = r" |\n[ \t]{0,20}"
"""What may stand between the tokens of JSON; without a bound a model could write nothing else."""
_PLAIN_ESCAPES = 'nrbtf\\"'
MAX_ASKED = 100
"""Most questions to llguidance about the place of what it refuses."""
MAX_DROPPED = 20
"""Most places in which a keyword is left out because llguidance refuses it."""
_DROPPABLE = (
    "patternProperties",
    "pattern",
    "minProperties",
    "maxProperties",
    "multipleOf",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "not",
    "if",
    "format",
)


def schema_source(text: str, *, strict: bool) -> str:
    """A source for JSON that is valid under a schema.

    Args:
        text: The schema.
        strict: Whether to refuse what would not be enforced; else it is left out.

    Raises:
        GrammarError: With the place in the schema of what is wrong or cannot be enforced.
    """
    document = read_schema(text)
    return library.on_deep_stack(lambda: _source(document, strict=strict))


def _source(document: Any, *, strict: bool) -> str:
    passed_over: set[str] = set()
    while True:
        rewriter, schema, escapes = _rewritten(document, strict, frozenset(passed_over))
        source = _written(schema, escapes=escapes)
        reason = library.refusal(source)
        if reason is None:
            return source
        place = _Blame(rewriter.written, schema.get("$defs", {})).place(reason)
        found = _droppable(document, place, passed_over)
        if strict or "Unsatisfiable" in reason or not found or len(passed_over) > MAX_DROPPED:
            raise _refused(rewriter, place, reason)
        passed_over |= found


def _rewritten(
    document: Any, strict: bool, passed_over: frozenset[str]
) -> tuple[Rewriter, dict[str, Any], bool]:
    for escapes in (True, False):
        rewriter = Rewriter(document, strict=strict, escapes=escapes, passed_over=passed_over)
        try:
            schema = rewriter.whole()
        except Leak:
            continue
        defs = schema.get("$defs", {})
        _check_sizes(rewriter, schema, defs)
        without = endless(defs)
        if ends(schema, set()) and not ends(schema, without):
            raise rewriter.error("#", "a value that is valid under it never ends")
        defs.update(dict.fromkeys(without, False))
        return rewriter, schema, escapes
    raise AssertionError("without escapes nothing leaks")


def _check_sizes(rewriter: Rewriter, schema: dict[str, Any], defs: dict[str, Any]) -> None:
    sizes = Sizes(defs)
    try:
        found = max(sizes.size(each) for each in [schema, *defs.values()])
    except RecursionError:
        raise rewriter.error("#", "references lead from one to the next for too long") from None
    if found > MAX_SIZE:
        raise rewriter.error(
            "#", f"more than {MAX_SIZE} schemas, as references stand beside other keywords"
        )


def _written(schema: dict[str, Any], *, escapes: bool) -> str:
    options: dict[str, Any] = {"whitespace_pattern": WHITE_SPACE}
    if escapes:
        options["json_allow_general_unicode_escapes"] = True
    else:
        options["json_allowed_escapes"] = _PLAIN_ESCAPES
    return f"{HEADER}start: %json {json.dumps({**schema, 'x-guidance': options})}\n"


class _Blame:
    """Finds the smallest schema that llguidance refuses for the same kind of reason."""

    def __init__(self, written: list[Written], defs: dict[str, Any]) -> None:
        self._below: dict[str, list[Written]] = {}
        for each in written:
            self._below.setdefault(each.above, []).append(each)
        self._roots = [each for each in written if each.above in {"", each.path}]
        self._defs = defs
        self._n_asked = 0

    def place(self, reason: str) -> str:
        """The path of what is to blame for a refusal."""
        is_empty = "Unsatisfiable" in reason
        path = "#"
        inside = self._below.get("#", []) + self._roots
        seen: set[str] = {"#"}
        while self._n_asked < MAX_ASKED:
            found = next((each for each in inside if self._is_to_blame(each, is_empty, seen)), None)
            if found is None:
                return path
            path = found.path
            inside = self._below.get(path, [])
        return path

    def _is_to_blame(self, written: Written, is_empty: bool, seen: set[str]) -> bool:
        if written.path in seen or not isinstance(written.schema, dict):
            return False
        seen.add(written.path)
        self._n_asked += 1
        if self._n_asked > MAX_ASKED:
            return False
        schema = {**written.schema, "$defs": self._defs}
        reason = library.refusal(_written(schema, escapes=True))
        return reason is not None and ("Unsatisfiable" in reason) == is_empty


def _droppable(document: Any, path: str, passed_over: set[str]) -> set[str]:
    """The paths of keywords that can be left out yet, at a place or the next one around it."""
    while path:
        node = _at(document, path)
        found = {f"{path}/{key}" for key in _DROPPABLE if isinstance(node, dict) and key in node}
        if found - passed_over:
            return found
        path = path.rpartition("/")[0]
    return set()


def _at(document: Any, path: str) -> Any:
    """What stands at a path; None: nothing."""
    node = document
    for key in path.split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, dict) and key in node:
            node = node[key]
        else:
            return None
    return node


def _refused(rewriter: Rewriter, path: str, reason: str) -> GrammarError:
    told = reason.partition("failed to compile JSON schema: ")[2] or reason
    if "Unsatisfiable" in told:
        told = told.replace("Unsatisfiable schema: ", "")
        return rewriter.nothing(path, f"nothing that can be written is valid under it ({told})")
    return rewriter.error(path, f"cannot be compiled: {told}", CHECK)
