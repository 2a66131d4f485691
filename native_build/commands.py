"""The setuptools commands: cffi's and setuptools' own, with llama.cpp put in at the right moments.

Every front end ends in these: ``pip wheel``, ``pip install -e``, ``python build_ffi.py`` and
``python -m build``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from setuptools import Extension
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist
from setuptools.errors import CompileError, LinkError

from .errors import BuildError
from .libraries import get_libraries
from .licences import copy_licences
from .progress import say
from .record import BuildRecord
from .release import copy_for_release
from .settings import ROOT, Settings
from .source import BUNDLED, find_source
from .toolchain import deployment_target
from .wheel_tag import LIMITED_API_TAG, check_wheel, has_limited_api

PACKAGE = "headrace_llamacpp_ffi"
LIBRARY_FOLDER = "lib"


class BuildExtension(build_ext):
    """Gets llama.cpp, compiles the extension against it, puts its libraries into the package."""

    def pre_run(self, ext: Extension, ffi: Any) -> None:
        """Get the libraries: cffi calls this before it writes the extension's source."""
        deployment_target()
        self.packed: list[str] = []
        self.prefix, self.record = get_libraries(Settings.from_environment())
        ext.include_dirs += self.prefix.include_dirs
        ext.library_dirs += self.prefix.library_dirs
        if self.prefix.has_common:
            ext.libraries.insert(0, "llama-common")
            ext.define_macros.append(("HEADRACE_COMMON", "1"))
        ext.depends += [*self.prefix.headers, *_shim_headers(), "build_ffi.py"]
        if BuildRecord.read(Path(self.build_lib, PACKAGE)) != self.record:
            # File times cannot tell that another llama.cpp, perhaps an older one, is used now.
            self.force = True
        say("compiling the extension")

    def build_extensions(self) -> None:
        """Compile; a failure says what the extension was compiled against."""
        try:
            super().build_extensions()
        except (CompileError, LinkError) as error:
            raise self._misfit(error) from None
        self._pack(Path(self.build_lib, PACKAGE))

    def copy_extensions_to_source(self) -> None:
        """For an in-place build, put the libraries beside the extension there too."""
        super().copy_extensions_to_source()
        build_py: Any = self.get_finalized_command("build_py")
        self._pack(Path(build_py.get_package_dir(PACKAGE)))

    def get_outputs(self) -> list[str]:
        """What this command made, the libraries included."""
        return [*super().get_outputs(), *self.packed]

    def _pack(self, package: Path) -> None:
        files = self.prefix.copy_libraries(package / LIBRARY_FOLDER)
        files += copy_licences(self.prefix.folder, package)
        files.append(self.record.write(package))
        self.packed += map(str, files)

    def _misfit(self, error: Exception) -> BuildError:
        step = "link" if isinstance(error, LinkError) else "compile"
        return BuildError(
            f"the extension does not {step} against llama.cpp {self.record.llama_cpp_commit} "
            f"(headers in {self.prefix.include_dirs[0]}).",
            "the compiler's errors are above. If they name something of llama.h or ggml.h, that "
            "llama.cpp does not fit this version of headrace: unset HEADRACE_LLAMA_CPP_SOURCE "
            "and HEADRACE_LLAMA_CPP_PREFIX to build the pinned one, or bring the declarations "
            "in ffi/ up to it.",
        )


class BuildWheel(bdist_wheel):
    """Tags the wheel for the stable ABI and checks that it keeps to it."""

    def finalize_options(self) -> None:
        """Choose the tag."""
        if has_limited_api():
            self.py_limited_api = LIMITED_API_TAG
        super().finalize_options()

    def run(self) -> None:
        """Build the wheel, then look into it."""
        super().run()
        for command, _, path in self.distribution.dist_files:
            if command == "bdist_wheel":
                check_wheel(Path(path))


class SourceDistribution(sdist):
    """Adds llama.cpp, so that installing from the archive downloads nothing."""

    def make_release_tree(self, base_dir: str, files: Iterable[str]) -> None:
        """Lay out the archive's contents."""
        super().make_release_tree(base_dir, files)
        source = find_source(Settings.from_environment())
        copy_for_release(source, Path(base_dir, BUNDLED))


def _shim_headers() -> list[str]:
    folders = (ROOT / "ffi" / "shim", ROOT / "ffi" / "api", ROOT / "ffi" / "watch")
    return sorted(str(path.relative_to(ROOT)) for folder in folders for path in folder.glob("*.h"))
