"""The cffi extension: C declarations from ``ffi/cdef`` and ``ffi/api``, C++ shim from ``ffi/shim``.

``setup.py`` names ``ffibuilder``, and adds the llama.cpp it is compiled against when the build
runs: importing this file needs no llama.cpp. Run as a script, it builds the extension in place:
``python build_ffi.py``.
"""

import subprocess
import sys
from pathlib import Path

from native_build.errors import BuildError
from native_build.requirements import check_requirements
from native_build.wheel_tag import LIMITED_API_VERSION, has_limited_api

check_requirements()

from cffi import FFI, CDefError  # noqa: E402

# Paths stay relative to the repository, as setuptools wants them.
CDEF = Path("ffi/cdef")  # of llama.cpp
API = Path("ffi/api")  # of the shim
SHIM = Path("ffi/shim")


def _declarations(folder: Path) -> str:
    """All declaration files in the order of their names, each keeping its name in errors."""
    files = sorted(folder.glob("*.h"))
    return "\n".join(
        f'# 1 "{file.as_posix()}"\n{file.read_text(encoding="utf-8")}' for file in files
    )


def _compiler_arguments() -> list[str]:
    if sys.platform == "win32":
        return ["/std:c++17", "/EHsc"]
    # Nothing but the module's entry point is for others to see or to clash with.
    return ["-std=c++17", "-fvisibility=hidden", f"-ffile-prefix-map={Path.cwd()}=headrace"]


def _linker_arguments() -> list[str]:
    """The run path to the libraries that lie beside the extension in the package."""
    if sys.platform == "win32":
        return []
    if sys.platform == "darwin":
        return ["-Wl,-rpath,@loader_path/lib"]
    # In the old form, which the libraries of an installed llama.cpp inherit: built for a system's
    # folder, they have no run path of their own.
    return ["-Wl,--disable-new-dtags", "-Wl,-rpath,$ORIGIN/lib", "-Wl,--strip-debug"]


def _declared() -> FFI:
    """A builder that has read all declarations."""
    builder = FFI()
    try:
        builder.cdef(_declarations(CDEF))
        builder.cdef(_declarations(API))
    except CDefError as error:
        raise BuildError(
            f"a declaration in {CDEF.as_posix()} or {API.as_posix()} cannot be read: {error}.",
            "mend it; these files are C without macros and conditions.",
        ) from None
    return builder


ffibuilder = _declared()
ffibuilder.set_source(
    "headrace_llamacpp_ffi._ffi",
    '#include "headrace_shim.h"',
    source_extension=".cpp",
    sources=sorted(path.as_posix() for path in SHIM.glob("*.cpp")),
    include_dirs=[SHIM.as_posix()],
    # Not ggml-cpu: in a portable build it is a module, which nothing can be linked to.
    libraries=["llama", "ggml", "ggml-base"],
    define_macros=[("Py_LIMITED_API", LIMITED_API_VERSION)] if has_limited_api() else [],
    extra_compile_args=_compiler_arguments(),
    extra_link_args=_linker_arguments(),
)

if __name__ == "__main__":
    root = Path(__file__).resolve().parent
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    try:
        sys.exit(subprocess.call(command, cwd=root))
    except KeyboardInterrupt:
        sys.exit(130)
