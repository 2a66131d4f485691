"""Errors in the words of the command line: from the library's names to options.

The core says ``EngineParams.n_ctx`` and ``backend=…``, because a program wrote that. Whoever
typed a command did not. What stands for what is told by the options themselves: each has the
name of what it sets, or says it (``names``), so that a new option is spoken of at once. What
is quoted, such as a file's name, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

from headrace.params.sampling import FIELDS

_TOKEN = re.compile(
    r"""
    (?P<call> (?:params=|engine=)? (?:Model|Engine|Sampling)Params \( (?P<inside>[^()]*) \) )
    | (?P<quoted> (?<!\w)'(?:[^'\\]|\\.)*' | (?<!\w)"(?:[^"\\]|\\.)*" )
    | (?<![\w./-])
      (?P<owner> [a-z]+(?:_[a-z]+)+'s\  | (?:Model|Engine|Session|Sampling)Params\. | PromptLookup\.
               | CheckLimits\. | SpeedPlan\. | ServerSettings\. )?
      (?P<name> [a-z][a-z0-9_]* )
      (?P<assigned> = (?P<value> '[^']*' | "[^"]*" | … | [\w.+-]*\w )? )?
      (?!\w|\()
    """,
    re.VERBOSE,
)
_BEGINS = re.compile(r"(?:\[\d+\])? (?:must|is|needs|contains)\b")
_SAMPLING = frozenset(field.name for field in FIELDS)
_ARGUMENTS = {"model": ("reference", "path"), "reference": ("reference",), "texts": ("text",)}
_PHRASES = {
    "0 only computes the prompt; None goes on until the model ends.": (
        "0 only computes the prompt; without it the model goes on until it ends."
    ),
    "Decode the bytes it came from with errors='replace'.": "It has to be UTF-8.",
    "Leave it out, or pass strict=False and check the output.": "Leave it out of the schema.",
    "split_model needs one of max_bytes and max_tensors": "--max-size or --max-tensors is needed",
}
_LISTS = ("It knows ", "Known: ")
"""Hints that are lists of names for ``--sampling``."""
_REST = (
    (re.compile(r",? or None(?=, got |$)"), ""),
    (re.compile(r"\bmust be None or "), "must be "),
    (re.compile(r" of EngineParams\b"), ""),
    (re.compile(r"(?:,| or) n_sequences\b"), ""),  # a command has one session
    (re.compile(r"\bLeave (--[\w-]+) at None\b"), r"Leave \1 out"),
    (re.compile(r"^SamplingParams has"), "--sampling has"),
    (re.compile(r"\bSamplingParams\b(?!\.)"), "the sampling options"),
    (re.compile(r"\bPromptLookup\b"), "--prompt-lookup"),
    (re.compile(r"must not be a DraftModel with"), "does not go with"),
    (re.compile(r"\bcheck_model\b"), "`headrace check`"),
    (re.compile(r"\bestimate_memory\b"), "--estimate"),
)


def spoken(text: str, command: click.Command | None) -> str:
    """A message or a hint, for who typed this command."""
    if command is None or text.startswith(_LISTS):
        return text
    words = _words(command)
    text = _PHRASES.get(text, text)
    text = _TOKEN.sub(lambda match: _translated(match, words), text)
    for pattern, replacement in _REST:
        text = pattern.sub(replacement, text)
    return text


def names_of(parameter: click.Parameter) -> tuple[str, ...]:
    """What the library calls the thing that a parameter of a command sets."""
    name = str(parameter.name)
    if isinstance(parameter, click.Argument):
        return (name, *_ARGUMENTS.get(name, ()))
    return getattr(parameter, "names", None) or (name,)


def _words(command: click.Command) -> dict[str, click.Parameter]:
    return {name: each for each in command.params for name in names_of(each)}


def _translated(match: re.Match[str], words: Mapping[str, click.Parameter]) -> str:
    if match["quoted"] is not None:
        return match[0]
    if match["call"] is not None:
        inside = [_TOKEN.fullmatch(each.strip()) for each in match["inside"].split(",")]
        told = [each and each["name"] and _translated(each, words) for each in inside]
        known = all(each and each.startswith("--") for each in told)
        return " ".join(map(str, told)) if known else match[0]
    name, assigned = match["name"], match["assigned"]
    begins = match.start() == 0 and _BEGINS.match(match.string, match.end())
    if not (match["owner"] or assigned or "_" in name or begins):
        return match[0]  # a word like any other
    if name in words:
        return _option(words[name], name, match["value"] if assigned else None)
    if name in _SAMPLING and "sampling" in words and (match["owner"] or assigned):
        return f"--sampling {name}{assigned or ''}"
    return match[0]


def _option(parameter: click.Parameter, name: str, value: str | None) -> str:
    if isinstance(parameter, click.Argument):
        return str(parameter.human_readable_name).strip("[].")
    option = max(parameter.opts, key=len)
    if not isinstance(parameter, click.Option) or value is None:
        return option
    if parameter.is_flag:
        denied = value == "False" and parameter.secondary_opts
        return max(parameter.secondary_opts, key=len) if denied else option
    switch = {"True": "on", "False": "off", "None": "auto"}.get(value)
    if switch is not None and "on" in getattr(parameter.type, "choices", ()):
        return f"{option} {switch}"
    if value in ("…", ""):
        return f"{option} {parameter.metavar or '…'}"
    return f"{option} {value.strip(chr(39) + chr(34))}"
