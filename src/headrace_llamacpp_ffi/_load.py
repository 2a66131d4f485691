"""Loading the extension, after making sure that the machine can run it."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from ._build_info import BuildInfo
from ._cpu import missing_features
from ._errors import ExtensionLoadError, UnsupportedCPUError


def load_extension(build_info: BuildInfo, library_dir: Path) -> ModuleType:
    """Import the compiled module.

    Raises:
        UnsupportedCPUError: The CPU lacks what the libraries were built with. Loading them would
            end the process with an illegal instruction, so this comes first.
        ExtensionLoadError: The extension or a library is missing or broken.
    """
    missing = missing_features(build_info.cpu_features)
    if missing:
        raise UnsupportedCPUError(missing)
    if sys.platform == "win32":
        os.add_dll_directory(str(library_dir))
    try:
        return importlib.import_module("headrace_llamacpp_ffi._ffi")
    except ImportError as error:
        raise ExtensionLoadError(
            f"the extension of headrace-llamacpp-ffi cannot be loaded: {error}. Build it again "
            "(in a source tree: python build_ffi.py) or install the package again.",
            name=error.name,
            path=error.path,
        ) from error
