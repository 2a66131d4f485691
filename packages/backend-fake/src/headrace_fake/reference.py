"""How a reference such as ``fake:Hello world#n_ctx=64`` says what the fake is to do."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

import attrs

from headrace.errors import ModelNotFoundError, ParamsError
from headrace.params import check_names
from headrace_fake.options import SCHEME, FakeOptions, as_bytes

_ELSEWHERE = ("script", "on_step")
_NAMES = tuple(field.name for field in attrs.fields(FakeOptions) if field.name not in _ELSEWHERE)


def parse_reference(reference: str, base: FakeOptions) -> FakeOptions:
    """Options of a reference ``fake:TEXT#name=value&name=value``.

    ``%XX`` stands for a byte, in the text too: ``fake:50%25`` writes ``50%``, ``fake:%F0%9F``
    is invalid UTF-8, ``%23`` is a ``#``. Without a text the base options' script is kept.

    Raises:
        ModelNotFoundError: If the reference does not begin with ``fake:``.
        ParamsError: For an unknown option or a wrong value.
    """
    if not reference.startswith(SCHEME):
        raise ModelNotFoundError(
            f"the fake backend has no model {reference!r}",
            hint="Its references look like 'fake:Hello world'.",
            backend="fake",
        )
    text, _, fragment = reference[len(SCHEME) :].partition("#")
    values: dict[str, Any] = {}
    for setting in fragment.split("&") if fragment else ():
        name, equals, value = setting.partition("=")
        if not equals:
            raise ParamsError(
                f"option {setting!r} of {reference!r} has no value",
                hint="Options are name=value; write %23 for a # in the text.",
            )
        check_names("FakeOptions", [name], _NAMES)
        values[name] = _parse_value(name, value)
    if text:
        values["script"] = unquote_to_bytes(as_bytes(text))
    return base.changed(values)


def _parse_value(name: str, text: str) -> Any:
    """The value an option's text stands for; the validators name the field of a wrong one."""
    default = getattr(FakeOptions(), name)
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
        if isinstance(default, tuple):
            return tuple(int(step) for step in text.split(","))
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
    except ValueError as error:
        raise ParamsError(f"FakeOptions.{name} must be a number, got {text!r}") from error
    return text
