"""Why the binding cannot be loaded.

Both are ``ImportError``s, raised where the extension would be imported: the backend above turns
them into its own.
"""

from __future__ import annotations


class ExtensionLoadError(ImportError):
    """The extension is not there, or the system's loader refused it."""


class UnsupportedCPUError(ImportError):
    """This machine's CPU lacks instructions that the libraries were built with.

    Attributes:
        missing: The features that are missing, by the names of Linux's ``/proc/cpuinfo``.
    """

    def __init__(self, missing: tuple[str, ...] = ()) -> None:
        self.missing = missing
        super().__init__(
            "this CPU cannot run the llama.cpp libraries of headrace-llamacpp-ffi: they were "
            f"built for a CPU with {', '.join(missing)}, which this one lacks. Install a build "
            "for this machine, made on it (pip install --force-reinstall --no-cache-dir "
            "--no-binary headrace-llamacpp-ffi headrace-llamacpp-ffi) or made with "
            "HEADRACE_PORTABLE=1, which carries kernels for every CPU.",
            name="headrace_llamacpp_ffi",
        )

    def __reduce__(self) -> tuple[type[UnsupportedCPUError], tuple[tuple[str, ...]]]:
        """Rebuild from what is missing: the message is made of it."""
        return type(self), (self.missing,)
