"""``hf:``: files of repositories on a Hugging Face hub, over ``huggingface_hub``.

The place of a file, who may read it, proxies and the offline mode are
``huggingface_hub``'s matter, with its environment variables and tokens. What is
added here: a download that a cancel or a crash leaves resumable, progress, and the
comparison with the digest that the hub announces.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from headrace.backend.resolver import ResolveRequest
from headrace.common.description import Described
from headrace.errors import (
    HeadraceError,
    ModelDownloadError,
    ModelError,
    ModelNotFoundError,
    ParamsError,
    UnsupportedError,
)
from headrace.loading.downloads.hub_cache import (
    HubFile,
    cached_file,
    partial_file,
    remember,
    store,
)
from headrace.loading.downloads.partial import PartialFile
from headrace.loading.downloads.pypi import within

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FIRST_PART = re.compile(r"(?P<stem>.+-)(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_DOWNLOAD_SHARE = 0.95
_LOCK_PATIENCE = 0.2

Report = Callable[[float], object]


class HubResolver(Described):
    """Fetches ``hf:ORG/REPO/FILE`` and ``hf:ORG/REPO/FILE@REVISION``."""

    scheme = "hf"
    description = "a file on a Hugging Face hub: hf:ORG/REPO/FILE@REVISION"

    def _described(self) -> str:
        return f"of {self.scheme}: references"

    def resolve(self, request: ResolveRequest) -> Path:
        """The file, fetched if need be; the first of them if it is one of several parts.

        Raises:
            ParamsError: If the reference is malformed.
            ModelNotFoundError: If there is no such repository, revision or file.
            ModelDownloadError: If it cannot be fetched: no network, no access.
            ModelFormatError: If the file is not the one that the hub announced.
            UnsupportedError: If ``huggingface_hub`` is not installed.
        """
        wanted = _parse(request)
        names = _parts(wanted.name)
        hub = _Hub(wanted)
        paths = []
        for index, name in enumerate(names):
            share = within(request.report, index / len(names), (index + 1) / len(names))
            paths.append(hub.fetch(attrs.evolve(wanted, name=name), share))
        return paths[0]


def _parse(request: ResolveRequest) -> HubFile:
    target, _, revision = request.target.partition("@")
    repo, name = "/".join(target.split("/")[:2]), "/".join(target.split("/")[2:])
    parts = target.split("/")
    if len(parts) < 3 or any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise ParamsError(
            f"{request.reference!r} is malformed",
            hint="Write hf:ORG/REPO/FILE, or hf:ORG/REPO/FILE@REVISION.",
        )
    if "@" in request.target and not re.fullmatch(r"[\w.-]+(?:/[\w.-]+)*", revision):
        raise ParamsError(
            f"{request.reference!r} has a malformed revision, {revision!r}",
            hint="A revision is a branch, a tag or a commit.",
        )
    return HubFile(reference=request.reference, repo=repo, name=name, revision=revision or "main")


def _parts(name: str) -> list[str]:
    """All files of a model in several, where the first one is named."""
    match = _FIRST_PART.fullmatch(name)
    if match is None or int(match["number"]) != 1:
        return [name]
    count = int(match["count"])
    return [f"{match['stem']}{i:05}-of-{count:05}.gguf" for i in range(1, count + 1)]


@attrs.frozen
class _Metadata:
    """What the hub says of a file."""

    commit: str
    etag: str
    size: int
    location: str


class _Hub:
    """``huggingface_hub``, with its errors made ours."""

    def __init__(self, wanted: HubFile) -> None:
        try:
            # By name, so that types are checked without the package.
            self._hub: Any = import_module("huggingface_hub")
            self._errors: Any = import_module("huggingface_hub.errors")
        except ImportError as error:
            raise UnsupportedError(
                f"{wanted.reference!r} needs the package huggingface_hub: {error}",
                hint='Install it: pip install "headrace[hf]"',
            ) from error
        self._endpoint = os.environ.get("HF_ENDPOINT") or None

    def fetch(self, wanted: HubFile, report: Report) -> Path:
        """One file, from a cache or the hub."""
        if _COMMIT.fullmatch(wanted.revision):
            found = cached_file(wanted, wanted.revision)
            if found is not None:
                return found
        try:
            metadata = self._metadata(wanted)
        except ModelDownloadError:
            found = cached_file(wanted, None)
            if found is None:
                raise
            return found  # the one that was fetched last will do
        try:
            found = cached_file(wanted, metadata.commit)
            if found is None:
                found = self._download(wanted, metadata, report)
            remember(wanted, metadata.commit)
        except OSError as error:
            if isinstance(error, HeadraceError):
                raise
            raise ModelError(
                f"{wanted.reference!r} cannot be stored: {error}",
                hint="Set HEADRACE_CACHE_DIR to a folder with room for the model.",
            ) from error
        return found

    def _url(self, wanted: HubFile) -> str:
        url = self._hub.hf_hub_url(
            wanted.repo, wanted.name, revision=wanted.revision, endpoint=self._endpoint
        )
        return str(url)

    def _metadata(self, wanted: HubFile) -> _Metadata:
        with self._translated(wanted):
            found = self._hub.get_hf_file_metadata(self._url(wanted), endpoint=self._endpoint)
        if not found.commit_hash or not found.etag or found.size is None:
            raise ModelDownloadError(
                f"what answers for {wanted.reference!r} is no Hugging Face hub",
                hint="Check HF_ENDPOINT, and proxies in between.",
            )
        return _Metadata(found.commit_hash, found.etag, found.size, found.location)

    def _download(self, wanted: HubFile, metadata: _Metadata, report: Report) -> Path:
        utils = import_module("huggingface_hub.utils")
        http_get = import_module("huggingface_hub.file_download").http_get
        url, headers = self._url(wanted), utils.build_hf_headers()
        if _host(metadata.location) != _host(url):
            # The address of a storage server, which is signed and must not see the token.
            headers.pop("authorization", None)
        path = partial_file(wanted, metadata.commit, metadata.etag)
        with _locked(path, report):
            found = cached_file(wanted, metadata.commit)
            if found is not None:  # another process was quicker
                return found
            share = within(report, 0.0, _DOWNLOAD_SHARE)
            with PartialFile(path, metadata.size, share) as file:
                if file.length < metadata.size:
                    with self._translated(wanted):
                        http_get(
                            metadata.location,
                            file,
                            resume_size=file.length,
                            headers=headers,
                            expected_size=metadata.size,
                            tqdm_class=_silent(utils.tqdm),
                        )
            rest = within(report, _DOWNLOAD_SHARE, 1.0)
            return store(wanted, metadata.commit, path, metadata.etag, rest)

    @contextlib.contextmanager
    def _translated(self, wanted: HubFile) -> Iterator[None]:
        """Around calls of the hub's client."""
        try:
            yield
        except HeadraceError:
            raise
        except self._errors.GatedRepoError as error:
            raise ModelDownloadError(
                f"{wanted.repo!r} is gated: its owners have to let you in",
                hint="Ask for access on its page, then log in: hf auth login, or set HF_TOKEN.",
            ) from error
        except self._errors.RepositoryNotFoundError as error:
            raise ModelNotFoundError(
                f"there is no repository {wanted.repo!r} on the hub, or it is private",
                hint="Check the spelling; for a private one log in: hf auth login, or HF_TOKEN.",
            ) from error
        except self._errors.RevisionNotFoundError as error:
            raise ModelNotFoundError(
                f"{wanted.repo!r} has no revision {wanted.revision!r}"
            ) from error
        except self._errors.EntryNotFoundError as error:
            raise ModelNotFoundError(
                f"{wanted.repo!r} has no file {wanted.name!r} at revision {wanted.revision!r}"
            ) from error
        except self._errors.HFValidationError as error:
            raise ParamsError(f"{wanted.reference!r} is malformed: {error}") from error
        except self._errors.OfflineModeIsEnabled as error:
            raise ModelDownloadError(
                f"{wanted.reference!r} is not in the cache, and HF_HUB_OFFLINE is set",
                hint="Fetch it once without it: headrace fetch REFERENCE.",
            ) from error
        except self._errors.HfHubHTTPError as error:
            code = getattr(error.response, "status_code", "an error")
            denied = code in (401, 403)
            raise ModelDownloadError(
                f"the hub answered {code} for {wanted.reference!r}",
                hint="Log in with a token that may read it: hf auth login, or set HF_TOKEN."
                if denied
                else "Try again later.",
            ) from error
        except (self._errors.HTTPError, OSError) as error:
            network = isinstance(error, (ConnectionError, TimeoutError))
            if isinstance(error, OSError) and error.errno is not None and not network:
                raise  # the disk's
            raise ModelDownloadError(
                f"{wanted.reference!r} could not be fetched: {type(error).__name__}: {error}",
                hint="Check the network; what was fetched so far is kept, and gone on with.",
            ) from error


def _host(url: str) -> str:
    return url.split("://", 1)[-1].split("/", 1)[0].lower()


def _silent(bar: Any) -> Any:
    """A class for bars that are not shown: progress is told to the caller."""

    class Silent(bar):  # type: ignore[misc]  # a base that is only known at run time
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})

    return Silent


@contextlib.contextmanager
def _locked(path: Path, report: Report) -> Iterator[None]:
    """Keep other processes from the same download; waiting can be cancelled."""
    filelock = import_module("filelock")
    lock = filelock.FileLock(path.with_name(f"{path.name}.lock"))
    while True:
        try:
            lock.acquire(timeout=_LOCK_PATIENCE)
            break
        except filelock.Timeout:
            report(0.0)
    try:
        yield
    finally:
        lock.release()
