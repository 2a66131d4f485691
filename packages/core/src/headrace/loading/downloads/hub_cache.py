"""Where fetched files of a hub lie: by commit, so that a name never changes its content.

``hub/ORG/REPO/commits/COMMIT/FILE``, and for each branch or tag the last commit that was
seen under ``hub/ORG/REPO/revisions``. A file is there only when it is whole and compared with
its digest. What ``huggingface_hub``'s own cache holds is used too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import attrs

from headrace.common.atomic import replacing
from headrace.common.cache import cache_dir
from headrace.errors import ModelFormatError
from headrace.loading.downloads.digests import check_digest


@attrs.frozen(kw_only=True)
class HubFile:
    """A file that a reference names."""

    reference: str
    """As the caller wrote it."""
    repo: str
    """``ORG/REPO``."""
    name: str
    """Path within the repository."""
    revision: str
    """Branch, tag or commit."""

    @property
    def folder(self) -> Path:
        """What is kept of its repository."""
        return cache_dir() / "hub" / self.repo

    def at(self, commit: str) -> Path:
        """Its place for a commit."""
        return self.folder / "commits" / commit / self.name


def cached_file(wanted: HubFile, commit: str | None) -> Path | None:
    """The file of a commit if it was fetched before; None: of the revision's last one."""
    known = commit or _remembered(wanted)
    if known is not None and wanted.at(known).is_file():
        return wanted.at(known)
    look = import_module("huggingface_hub").try_to_load_from_cache
    found = look(wanted.repo, wanted.name, revision=commit or wanted.revision)
    return Path(found) if isinstance(found, str) else None


def _remembered(wanted: HubFile) -> str | None:
    with contextlib.suppress(OSError):
        return _revision_file(wanted).read_text().strip() or None
    return None


def remember(wanted: HubFile, commit: str) -> None:
    """Note the commit that a revision stands for at the moment."""
    path = _revision_file(wanted)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(commit)


def _revision_file(wanted: HubFile) -> Path:
    return wanted.folder / "revisions" / wanted.revision.replace("/", "%2F")


def partial_file(wanted: HubFile, commit: str, etag: str) -> Path:
    """Where a download is kept until it is whole; another content has another name."""
    path = wanted.at(commit)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.{etag[:16]}.partial")


def store(
    wanted: HubFile, commit: str, partial: Path, etag: str, report: Callable[[float], object]
) -> Path:
    """Put a whole download into its place, if it is what was announced.

    Raises:
        ModelFormatError: If it is not; nothing of it stays.
    """
    try:
        check_digest(partial, etag, report)
    except ModelFormatError:
        partial.unlink()
        raise
    path = wanted.at(commit)
    partial.replace(path)
    return path
