"""An installed llama.cpp: what of it is compiled against, linked, and packed."""

from __future__ import annotations

import re
import shutil
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError

_OURS = re.compile(r"(lib)?(llama|ggml|mtmd)[\w.-]*?(\.so(\.\d+)*|(\.\d+)*\.dylib|\.dll)")
_SONAME = re.compile(r".*(\.so\.\d+|\.\d+\.dylib)")
_COMMON = re.compile(r"(lib)?llama-common[.\d]*(\.so(\.\d+)*|\.dylib|\.dll)")
_VARIANT = re.compile(r"(lib)?ggml-cpu-.*")
COMMON_HEADERS = Path("include") / "llama-common"
"""Where headrace's build puts the headers of libllama-common in an installation."""

# Debian keeps libraries in a folder for each architecture.
_LIBRARY_FOLDERS = ("lib", "lib64", f"lib/{sysconfig.get_config_var('MULTIARCH')}", "bin")


@dataclass(frozen=True)
class Prefix:
    """A folder llama.cpp is installed in.

    Attributes:
        folder: The prefix itself.
    """

    folder: Path

    @property
    def include_dirs(self) -> list[str]:
        """Where the headers are."""
        folders = [self.folder / "include"]
        if self.has_common:
            folders.append(self.folder / COMMON_HEADERS)
        return [str(folder) for folder in folders]

    @property
    def has_common(self) -> bool:
        """Whether libllama-common is there with its headers: chat templates, JSON schemas.

        llama.cpp installs the library without the headers; headrace's own build adds them.
        """
        names = [name for name in self.libraries() if _COMMON.fullmatch(name)]
        return bool(names) and (self.folder / COMMON_HEADERS / "chat.h").is_file()

    @property
    def library_dirs(self) -> list[str]:
        """Where the linker looks."""
        folders = (self.folder / name for name in _LIBRARY_FOLDERS)
        return [str(folder) for folder in folders if folder.is_dir()]

    @property
    def headers(self) -> list[str]:
        """The headers the extension is compiled against."""
        return sorted(str(path) for path in (self.folder / "include").glob("*.h"))

    @property
    def is_portable(self) -> bool:
        """Whether the CPU kernels are modules, chosen when the program runs."""
        return any(_VARIANT.fullmatch(name) for name in self.libraries())

    @property
    def version(self) -> str | None:
        """The llama.cpp commit, where the installation tells."""
        config = self.folder / "lib" / "cmake" / "llama" / "llama-config.cmake"
        if not config.is_file():
            return None
        text = config.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"set\(LLAMA_BUILD_COMMIT\s+(\S+)\)", text)
        return found[1] if found else None

    def libraries(self) -> dict[str, Path]:
        """The shared libraries, by the name under which the loader asks for each.

        Raises:
            BuildError: There are none.
        """
        names: dict[Path, str] = {}
        for path in sorted(self._library_files()):
            real = path.resolve()
            known = names.get(real)
            if known is None or _SONAME.fullmatch(path.name):
                names[real] = path.name
        if not names:
            raise BuildError(
                f"there are no shared llama.cpp libraries in {self.folder}.",
                "build llama.cpp with -DBUILD_SHARED_LIBS=ON and install it there, or unset "
                "HEADRACE_LLAMA_CPP_PREFIX to have headrace build it.",
            )
        return {name: real for real, name in names.items()}

    def _library_files(self) -> Iterator[Path]:
        for folder in self.library_dirs:
            for path in Path(folder).iterdir():
                if path.is_file() and _OURS.fullmatch(path.name):
                    yield path

    def copy_libraries(self, destination: Path) -> list[Path]:
        """Make a folder hold exactly the shared libraries; returns the copies.

        The folder is emptied first: a module left over from another build would be loaded too.
        """
        shutil.rmtree(destination, ignore_errors=True)
        destination.mkdir(parents=True)
        return [
            Path(shutil.copy2(path, destination / name))
            for name, path in sorted(self.libraries().items())
        ]
