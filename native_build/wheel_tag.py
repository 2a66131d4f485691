"""One wheel for every CPython from 3.10 on: the tag that says so, and proof that it is true."""

from __future__ import annotations

import sysconfig
import zipfile
from pathlib import Path

from .errors import BuildError

LIMITED_API_TAG = "cp310"
LIMITED_API_VERSION = "0x030A0000"


def has_limited_api() -> bool:
    """Whether this Python builds for the stable ABI: every CPython with a GIL does."""
    return not sysconfig.get_config_var("Py_GIL_DISABLED")


def check_wheel(wheel: Path) -> None:
    """Refuse a wheel whose tag and extension module disagree.

    The tag comes from setuptools and the module's name from cffi; nothing else compares them, and
    a wheel that claims too much fails only when it is imported by another Python.

    Raises:
        BuildError: They disagree.
    """
    abi_tag = wheel.stem.split("-")[-2]
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name).name for name in archive.namelist()]
    modules = [name for name in names if name.startswith("_ffi.") and not name.endswith(".pyi")]
    stable = [".abi3." in name or name == "_ffi.pyd" for name in modules]
    if len(modules) != 1 or stable[0] != (abi_tag == "abi3"):
        raise BuildError(
            f"the wheel {wheel.name} holds the extension modules {modules}, which does not fit "
            f"its ABI tag {abi_tag}.",
            "delete the build folder and build again.",
        )
