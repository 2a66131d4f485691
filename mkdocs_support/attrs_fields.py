"""Shows the fields of attrs classes in the reference as their readers think of them.

``n_ctx: int | None = attrs.field(default=None, validator=…)`` becomes ``n_ctx: int | None = None``.
"""

from __future__ import annotations

from typing import Any

import griffe


class AttrsFields(griffe.Extension):
    """Replaces the call of ``attrs.field`` by the default that it declares."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Called by griffe for every attribute of a class or module."""
        value = attr.value
        if isinstance(value, griffe.ExprCall) and str(value.function) == "attrs.field":
            attr.value = _default(value)
            attr.labels.clear()  # that it belongs to class and instance says nothing here


def _default(call: griffe.ExprCall) -> str | griffe.Expr | None:
    for argument in call.arguments:
        if isinstance(argument, griffe.ExprKeyword) and argument.name == "default":
            return argument.value
        if isinstance(argument, griffe.ExprKeyword) and argument.name == "factory":
            return {"dict": "{}", "list": "[]"}.get(str(argument.value))
    return None
