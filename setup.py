"""The native distribution's build, for setuptools: names only; the work is in native_build/."""

import sys
from pathlib import Path

from setuptools import setup

# Front ends that follow PEP 517 do not put the project's folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from native_build.requirements import check_requirements

check_requirements()

from native_build.commands import BuildExtension, BuildWheel, SourceDistribution  # noqa: E402

setup(
    cffi_modules=["build_ffi.py:ffibuilder"],
    cmdclass={
        "build_ext": BuildExtension,
        "bdist_wheel": BuildWheel,
        "sdist": SourceDistribution,
    },
)
