"""Names of a module that are imported when they are used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def attributes(
    module: dict[str, Any], homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """What a module needs as ``__getattr__`` and ``__dir__``.

    Args:
        module: Its ``globals()``.
        homes: For each module that is imported later, the names that come from it.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def __getattr__(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
        value: object = getattr(import_module(home_of[name]), name)
        module[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*module, *home_of})

    return __getattr__, __dir__
