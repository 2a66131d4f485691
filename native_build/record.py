"""What a build was made of and for, as a file that goes with the libraries into the package."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

RECORD = "_build_info.json"


@dataclass(frozen=True)
class BuildRecord:
    """The facts that ``headrace_llamacpp_ffi.build_info`` tells.

    Attributes:
        llama_cpp_commit: What was built.
        cmake_options: How it was configured.
        portable: Whether the CPU kernels are modules, chosen among when the program runs.
        compiler: The compiler's own words for itself.
        cpu_features: What the CPU must have, by the names of Linux's ``/proc/cpuinfo``.
    """

    llama_cpp_commit: str
    cmake_options: tuple[str, ...]
    portable: bool
    compiler: str
    cpu_features: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> BuildRecord | None:
        """The record in a folder of libraries; None where there is none."""
        try:
            fields = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        fields["cmake_options"] = tuple(fields["cmake_options"])
        fields["cpu_features"] = tuple(fields["cpu_features"])
        return cls(**fields)

    def write(self, folder: Path) -> Path:
        """Write the record into a folder; returns the file."""
        path = folder / RECORD
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return path
