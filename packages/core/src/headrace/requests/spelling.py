"""Keywords that a method takes as ``**options``: checked by name, and shown by ``help``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from headrace.params.fields import check_names

_F = TypeVar("_F", bound=Callable[..., Any])


def spelled(keywords: type, defaults: type) -> Callable[[_F], _F]:
    """Have a method's signature show each of its keywords, with the default that it has.

    Args:
        keywords: The ``TypedDict`` of what it takes.
        defaults: The class of the request, whose fields have the defaults.
    """
    fields = {field.name: field.default for field in attrs.fields(defaults)}

    def decorate(function: _F) -> _F:
        signature = inspect.signature(function)
        given = [
            each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD
        ]
        named = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=fields.get(name),
                annotation=annotation,
            )
            for name, annotation in keywords.__annotations__.items()
        ]
        function.__signature__ = signature.replace(parameters=[*given, *named])  # type: ignore[attr-defined]
        return function

    return decorate


def check_keywords(call: str, given: Mapping[str, Any], keywords: type) -> None:
    """Raise for the first keyword that a call does not have.

    Raises:
        ParamsError: With the closest one that it has.
    """
    check_names(call, given, keywords.__annotations__)
