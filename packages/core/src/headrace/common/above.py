"""What lower floors reach on higher ones: modules by name, imported when something there is asked.

``headrace`` itself fills this, before anything that asks.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

plugins: dict[str, str] = {}
"""Plugins that headrace brings, and their modules."""
homes: dict[str, str] = {}
"""Functions of higher floors, and the modules that have them."""


def function(name: str) -> Any:
    """A function of a higher floor."""
    return getattr(import_module(homes[name]), name)
