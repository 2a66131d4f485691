"""The resolvers that headrace brings: ``hf:`` and ``pypi:``."""
