"""A backend that breaks it for each rule of the kit, a module for each of the suite's."""

from importlib import import_module

from headrace.testing import suite
from tests.unit.testing.broken.making import BREAKERS

for area in suite.__all__:
    import_module(f"{__name__}.{area}")

__all__ = ["BREAKERS"]
