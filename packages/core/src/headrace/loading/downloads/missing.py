"""What somebody may have meant who named a model where there is none."""

from __future__ import annotations

import os
import re
from pathlib import Path

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HUB = re.compile(
    r"https?://(?:www\.)?(?:huggingface|hf)\.\w+/([^/?#]+/[^/?#]+)/(?:resolve|blob|raw)/"
    r"([^/?#]+)/([^?#]+)"
)
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MAGIC = b"GGUF"


def is_address(reference: str) -> bool:
    """Whether it is an address, such as ``https://…``, and no file is named so."""
    return bool(_ADDRESS.fullmatch(reference)) and not os.path.lexists(reference)


def missing_hint(reference: str) -> str | None:
    """What to do about a reference at which there is no file; None if nothing comes to mind."""
    found = _HUB.match(reference)
    if found:
        repository, revision, name = found.groups()
        at = "" if revision == "main" else f"@{revision}"
        return f"Write hf:{repository}/{name}{at}, or download it and name the file."
    address = _ADDRESS.fullmatch(reference)
    if address and address[1].lower() == "file":
        return "Name the path alone, without file://."
    if address:
        return (
            "An address is not fetched: download it and name the file, or write "
            "hf:ORG/REPO/FILE for one on a Hugging Face hub."
        )
    if reference.startswith("~"):
        return (
            f"~ is left as it is: {os.path.expanduser(reference)!r} may be meant, which "
            "os.path.expanduser makes of it."
        )
    if _REPOSITORY.fullmatch(reference) and not reference.lower().endswith(".gguf"):
        return f"If it is a repository on a Hugging Face hub, name a file: hf:{reference}/FILE."
    return None


def is_gguf(path: str) -> bool:
    """Whether a regular file is a GGUF file, by what it begins with; nothing else is opened."""
    try:
        if not Path(path).is_file():
            return False
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False
