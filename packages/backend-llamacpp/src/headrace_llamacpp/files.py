"""What can be said of a model file before llama.cpp sees it.

llama.cpp answers every bad path with NULL and a line in its log; looking first
gives the user an error that names the file and the reason.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError, ModelFormatError, ModelLoadError, ModelNotFoundError
from headrace.loading.downloads.missing import is_address, is_gguf, missing_hint

BACKEND = "llamacpp"
MAGIC = b"GGUF"
SUFFIX = ".gguf"

_OTHER_MAGICS = {
    b"tjgg": "an old GGML file",
    b"fmgg": "an old GGML file",
    b"lmgg": "an old GGML file",
    b"algg": "a LoRA adapter of the old GGML kind",
    b"PK\x03\x04": "a zip archive, such as a PyTorch checkpoint",
    b"FUGG": "a GGUF file of the other byte order",
}
_CONVERT = "Convert it to GGUF, or get a GGUF file of the model."


def looks_like_model(reference: str) -> bool:
    """Whether a reference names a GGUF file, or something that should have been one.

    A path ending in ``.gguf`` is claimed even if there is no such file, so that
    the user is told about the file and not about backends.
    """
    if is_address(reference):
        return False
    return reference.lower().endswith(SUFFIX) or is_gguf(reference)


def check_model_file(reference: str, what: str = "model file") -> Path:
    """The path of a file that begins as a GGUF file does.

    Args:
        reference: The path.
        what: What it is to be, for messages.

    Raises:
        ModelNotFoundError: If there is no file there.
        ModelFormatError: If it is something else than a GGUF file.
        ModelLoadError: If it cannot be read.
    """
    if "\0" in reference:
        raise _error(
            ModelNotFoundError, f"there is no {what} at {reference!r}: a path has no NUL in it"
        )
    path = Path(reference)
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise _directory_error(path, what)
        if not stat.S_ISREG(kind):
            raise _error(ModelFormatError, f"{reference!r} is not a regular file")
        with path.open("rb") as file:
            start = file.read(64)
    except (FileNotFoundError, NotADirectoryError):
        raise _not_found(reference, what) from None
    except PermissionError as error:
        raise _error(
            ModelLoadError,
            f"the {what} {reference!r} cannot be read: permission denied",
            hint="Check who owns the file, and its mode.",
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise _error(
            ModelLoadError, f"the {what} {reference!r} cannot be read: {reason}"
        ) from error
    if start[: len(MAGIC)] != MAGIC:
        raise _format_error(reference, start, what)
    return path


def _error(kind: type[HeadraceError], message: str, **details: Any) -> HeadraceError:
    return kind(message, backend=BACKEND, **details)


def _not_found(reference: str, what: str) -> HeadraceError:
    path = Path(reference)
    hint = missing_hint(reference)
    folder = path.parent
    if hint is None and folder.is_dir():
        near = sorted(each.name for each in folder.iterdir() if each.suffix.lower() == SUFFIX)
        if near:
            hint = f"In {os.fspath(folder)!r} there is: {', '.join(near[:5])}."
    elif hint is None and (path.is_absolute() or folder != Path()):
        hint = f"There is no directory {os.fspath(folder)!r}."
    return _error(ModelNotFoundError, f"there is no {what} at {reference!r}", hint=hint)


def _directory_error(path: Path, what: str) -> HeadraceError:
    found = sorted(each.name for each in path.glob(f"*{SUFFIX}"))
    hint = f"Name a file in it: {', '.join(found[:5])}." if found else "Name a GGUF file."
    return _error(ModelFormatError, f"{os.fspath(path)!r} is a directory, not a {what}", hint=hint)


def _format_error(reference: str, start: bytes, what: str) -> HeadraceError:
    if not start:
        return _error(
            ModelFormatError,
            f"the {what} {reference!r} is empty",
            hint="A download may have failed; get the file again.",
        )
    for magic, what in _OTHER_MAGICS.items():
        if start.startswith(magic):
            return _error(
                ModelFormatError, f"{reference!r} is {what}, not a GGUF file", hint=_CONVERT
            )
    if start.startswith(b"version https://git-lfs"):
        return _error(
            ModelFormatError,
            f"{reference!r} is a Git LFS pointer, not the model itself",
            hint="Fetch it with: git lfs pull.",
        )
    begin = f"begins with {start[:4]!r}, not with {MAGIC!r}"
    what = "looks like text" if _is_text(start) else begin
    return _error(
        ModelFormatError,
        f"{reference!r} is not a GGUF file: it {what}",
        hint=_CONVERT,
    )


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        # A character cut off by the end of what was read is no sign of binary data.
        return error.start >= len(start) - 3
    return all(character.isprintable() or character.isspace() for character in text)
