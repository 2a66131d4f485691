"""Backends that take anything, or break of it."""

from __future__ import annotations

from headrace import (
    ParamsError,
    TokenizeError,
)
from tests.unit.testing.broken.making import (
    generating,
    replaced,
)


@generating("hostile.prompts")
def _(session, inner, prompt, **keywords):
    usual = prompt is None or (isinstance(prompt, str) and prompt)
    return inner(prompt if usual else f"{prompt} ", **keywords)


@generating("hostile.arguments")
def _(session, inner, prompt, *, max_tokens=None, **keywords):
    return inner(prompt, max_tokens=max_tokens and abs(int(max_tokens)), **keywords)


@generating("hostile.ids")
def _(session, inner, prompt, **keywords):
    try:
        return inner(prompt, **keywords)
    except TokenizeError:
        return inner([1], **keywords)


@generating("hostile.surrogates")
def _(session, inner, prompt, **keywords):
    return inner(replaced(prompt), **keywords)


@generating("hostile.nul")
def _(session, inner, prompt, **keywords):
    if "\0" in prompt:
        raise ValueError("embedded null byte")
    return inner(prompt, **keywords)


@generating("hostile.anything")
def _(session, inner, prompt, **keywords):
    try:
        return inner(prompt, **keywords)
    except ParamsError as error:
        raise TypeError("bad argument") from error
