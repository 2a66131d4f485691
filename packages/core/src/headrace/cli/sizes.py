"""Sizes as people type them."""

from __future__ import annotations

import re

from headrace.errors import ParamsError

_MOST = 2**63 - 1
"""What systems count files and memory with."""
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def number_of_bytes(option: str, text: str) -> int:
    """Bytes of ``500M`` or ``2G``.

    Raises:
        ParamsError: If it is no such size; it names the option.
    """
    found = re.fullmatch(r"(\d+)([KMG]?)B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ParamsError(
            f"{option} must be a number of bytes, got {text!r}",
            hint="K, M and G may follow: 500M, 2G.",
        )
    n_bytes = int(found[1]) * _UNITS[found[2].upper()]
    if n_bytes > _MOST:
        raise ParamsError(f"{option} must be at most {_MOST} bytes, got {text!r}")
    return n_bytes
