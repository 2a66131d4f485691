"""The Python packages of the build, for builds that no front end prepares.

pip installs them by itself, from ``pyproject.toml``; ``python build_ffi.py`` and
``--no-build-isolation`` take the environment as it is.
"""

from __future__ import annotations

import sys
from importlib import metadata

from .errors import BuildError

_OLDEST = {"setuptools": 77, "cffi": 2}


def check_requirements() -> None:
    """Make sure that setuptools and cffi are there and new enough.

    Raises:
        BuildError: One is not.
    """
    for name, oldest in _OLDEST.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = ""
        if not version or int(version.split(".")[0]) < oldest:
            found = f"{version} is installed" if version else "it is not installed"
            packages = '"setuptools>=77" "cffi>=2" cmake ninja'
            raise BuildError(
                f"the build needs {name} {oldest} or later; {found}.",
                f"run {sys.executable} -m pip install {packages}.",
            )
