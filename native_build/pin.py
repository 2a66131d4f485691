"""Which llama.cpp headrace is built on.

The tree comes from a source distribution on the Python package index that carries all of
llama.cpp: that is the one archive every user of pip can reach, by the index and the proxies
already configured. None of that project's Python is used.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pin:
    """One fixed llama.cpp tree.

    Attributes:
        project: The project on the package index.
        version: Its version.
        sha256: Of its source archive.
        folder: Where llama.cpp is inside the archive, below the top folder.
        commit: The llama.cpp commit that this tree is.
        megabytes: Size of the archive, for the progress line.
    """

    project: str
    version: str
    sha256: str
    folder: str
    commit: str
    megabytes: int


PINNED = Pin(
    project="llama-cpp-python",
    version="0.3.36",
    sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
    folder="vendor/llama.cpp",
    commit="0c1e57098bba43ac29e6e3b677cdceebdd22334f",
    megabytes=76,
)
