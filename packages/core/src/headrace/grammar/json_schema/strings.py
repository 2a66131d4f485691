"""Strings of schemas: patterns, lengths and formats."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.errors import GrammarError
from headrace.grammar.json_schema.part import Part
from headrace.grammar.regular.searching import searches
from headrace.grammar.regular.tree import Chars
from headrace.grammar.regular.writing import ANY_TEXT, write, write_set
from headrace.grammar.sets import Ranges, union, without

NEEDS_ESCAPE: Ranges = ((0x00, 0x07), (0x0B, 0x0B), (0x0E, 0x1F), (0x7F, 0x7F))
"""What a JSON string can hold only as ``\\u`` and four digits."""

_DAY = (
    r"(?:(?:(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
    r"-02-29)|(?:(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})-(?:"
    r"(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|"
    r"02-(?:0[1-9]|1[0-9]|2[0-8]))))"
)
"""Of the years from 1, with a 29th of February in leap years."""
_TIME = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_SEGMENT = r"(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})"
_COLONS = rf"(?:{_SEGMENT}|:)"
_TAIL = rf"(?:\?(?:{_COLONS}|[/?])*)?(?:#(?:{_COLONS}|[/?])*)?"

PATTERNS = {
    "date": _DAY,
    "time": _TIME,
    "date-time": f"{_DAY}T{_TIME}",
    "json-pointer": "(?:/(?:[^~/]|~[01])*)*",
    "relative-json-pointer": "(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)",
    "uri-reference": (
        rf"(?:[A-Za-z][A-Za-z0-9+.-]*://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?"
        rf"(?:/{_COLONS}*)*|/(?:{_COLONS}+(?:/{_COLONS}*)*)?|{_SEGMENT}+(?:/{_COLONS}*)*|){_TAIL}"
    ),
}
"""Formats that are kept to by patterns of ours: narrower ones than the format in places."""
KNOWN = {"duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"}
"""Formats that llguidance keeps to."""
UNENFORCED = {
    "idn-email",
    "idn-hostname",
    "iri",
    "iri-reference",
    "uri-template",
    "regex",
}
"""Formats of JSON Schema that nothing here can say. Any other name is a remark."""


def patterns_of(pattern: str, *, escapes: bool) -> list[str]:
    """What llguidance has to match, all of them, for a pattern of a schema.

    Raises:
        GrammarError: With the position of what cannot be written.
    """
    return searches(pattern, () if escapes else NEEDS_ESCAPE)


def other_than(texts: Iterable[str], *, escapes: bool) -> str:
    """A pattern for what is none of some texts."""
    unwritable = () if escapes else NEEDS_ESCAPE
    found = []
    prefixes = {text[:length] for text in texts for length in range(len(text) + 1)}
    for prefix in sorted(prefixes):
        begun = "".join(write(Chars(((ord(letter), ord(letter)),))) for letter in prefix)
        known = union(
            (ord(longer[-1]), ord(longer[-1]))
            for longer in prefixes
            if longer and longer[:-1] == prefix
        )
        if prefix not in texts:
            found.append(begun or "(?:)")
        found.append(begun + write_set(Chars(without(known)), unwritable) + ANY_TEXT)
    return f"^(?:{'|'.join(found) or ANY_TEXT})$"


def name_pattern(pattern: str) -> str:
    """A pattern for the names of properties.

    Raises:
        GrammarError: As ``patterns_of``, and for what is several patterns.
    """
    found = searches(pattern)
    if len(found) > 1:
        raise GrammarError("lookahead cannot be part of a name's pattern")
    return found[0]


def write_string(part: Part) -> None:
    """``minLength``, ``maxLength``, ``pattern`` and ``format``."""
    low, high = part.limits("Length")
    part.out.update({"minLength": low} if low else {})
    part.out.update({} if high is None else {"maxLength": high})
    patterns: list[str] = []
    if "pattern" in part.node:
        patterns += _pattern(part)
    if "format" in part.node:
        patterns += _format(part)
    for pattern in patterns[:1]:
        part.out["pattern"] = pattern
    for pattern in patterns[1:]:
        part.narrow({"type": "string", "pattern": pattern}, "string")


def _pattern(part: Part) -> list[str]:
    pattern = part.node["pattern"]
    if not isinstance(pattern, str):
        raise part.error("pattern", f"must be a str, got {pattern!r:.60}")
    try:
        return patterns_of(pattern, escapes=part.document.escapes)
    except GrammarError as error:
        path = part.path_of("pattern")
        part.document.unenforced(path, error.message, error.hint, as_it_is=True)
    return []


def _format(part: Part) -> list[str]:
    name = part.node["format"]
    if not isinstance(name, str):
        raise part.error("format", f"must be a str, got {name!r:.60}")
    if name in UNENFORCED:
        part.unenforced("format", f"the format {name!r}")
    if name in KNOWN:
        part.out["format"] = name
    if name in PATTERNS:
        return patterns_of(f"^(?:{PATTERNS[name]})$", escapes=part.document.escapes)
    return []
