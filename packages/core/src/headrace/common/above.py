"""What lower floors reach on higher ones: modules by name, imported when something there is asked.

``headrace`` itself fills this, before anything that asks; so does the command line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

plugins: dict[str, str] = {}
"""Plugins that headrace brings, and their modules."""
homes: dict[str, str] = {}
"""Functions of higher floors, and the modules that have them."""
around_plugins: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
"""What is around code of plugins; the command line keeps what they print out of its output."""


def function(name: str) -> Any:
    """A function of a higher floor."""
    return getattr(import_module(homes[name]), name)
