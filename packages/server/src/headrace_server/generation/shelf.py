"""``Shelf``: conversations on disk, which are found again after a restart.

Each is a state that the session itself writes, replaced as a whole or not at all. An index tells
what each begins with, by a hash: it has no text. What is damaged, or was written by another build,
is thrown away; it only costs time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import msgspec

from headrace.errors import HeadraceError, StateError

if TYPE_CHECKING:
    import headrace
    from headrace_server.generation.conversations import Key

LOG = logging.getLogger("headrace_server")
INDEX = "index.json"
SUFFIX = ".state"


class Entry(msgspec.Struct, kw_only=True):
    """A conversation on disk."""

    kind: str
    """``text`` or ``tokens``: what its key is made of."""
    length: int
    """Of its key."""
    digest: str
    """Of its key."""
    size: int
    """Bytes of its file."""
    used_at: float

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.kind}-{self.length}-{self.digest}{SUFFIX}"


class Shelf:
    """Conversations of one model on disk. For one event loop, and one server at a time.

    Args:
        folder: Where they are; it is made where it is missing, for its owner alone.
        most_bytes: Bytes that all of them may take; those not used for longest go first.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most = most_bytes
        self._lock = anyio.Lock()
        self._entries: list[Entry] | None = None

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(each.size for each in self._entries or ())

    def __len__(self) -> int:
        return len(self._entries or ())

    async def open(self) -> None:
        """Read the index.

        Raises:
            StateError: If the folder cannot be written.
        """
        if self._entries is None:
            self._entries = await anyio.to_thread.run_sync(self._read)

    def longest(self, key: Key) -> Entry | None:
        """The longest conversation that a key begins with."""
        found = self._prefixes(key)
        return max(found, key=lambda each: each.length) if found else None

    def _prefixes(self, key: Key) -> list[Entry]:
        kind, data, width = _written(key)
        known = sorted(
            (each for each in self._entries or () if each.kind == kind and each.length <= len(key)),
            key=lambda each: each.length,
        )
        found, hashed, done = [], hashlib.blake2b(digest_size=16), 0
        for entry in known:  # one pass over the key, however many there are
            hashed.update(data[done : entry.length * width])
            done = entry.length * width
            if hashed.hexdigest() == entry.digest:
                found.append(entry)
        return found

    async def put(self, key: Key, session: headrace.Session) -> None:
        """Write a session, unless there is little in memory of it; its earlier turns are dropped.

        What fails goes to the log.
        """
        kind, data, _ = _written(key)
        entry = Entry(
            kind=kind,
            length=len(key),
            digest=hashlib.blake2b(data, digest_size=16).hexdigest(),
            size=0,
            used_at=time.time(),
        )
        path = self._folder / entry.file
        try:
            memory = await session.amemory_usage()
            if not memory.stored_bytes and 2 * memory.cells < max(1, memory.tokens):
                return
            async with self._lock:
                await session.asave_state(path)
                entry.size = path.stat().st_size
                older = [each for each in self._prefixes(key) if 2 * each.length >= len(key)]
                await self._replace(older, entry)
        except (HeadraceError, OSError) as error:
            LOG.warning("a conversation could not be saved: %s", error)

    async def _replace(self, gone: list[Entry], new: Entry) -> None:
        entries = self._entries = [
            each
            for each in self._entries or ()
            if each.file != new.file and all(each is not other for other in gone)
        ]
        dropped = [each for each in gone if each.file != new.file]
        entries.append(new)
        entries.sort(key=lambda each: each.used_at)
        while entries and sum(each.size for each in entries) > self._most:
            dropped.append(entries.pop(0))
        await self._write(dropped)

    async def take(self, entry: Entry, session: headrace.Session) -> bool:
        """Have a session become what was saved; False if that is damaged, and then dropped.

        It stays on disk until a later turn of it is written.
        """
        try:
            await session.aload_state(self._folder / entry.file)
        except (StateError, OSError) as error:
            LOG.warning("a saved conversation was dropped: %s", error)
            async with self._lock:
                self._entries = [each for each in self._entries or () if each is not entry]
                await self._write([entry])
            return False
        entry.used_at = time.time()
        return True

    async def _write(self, dropped: list[Entry]) -> None:
        entries = list(self._entries or ())

        def write() -> None:
            for each in dropped:
                with contextlib.suppress(FileNotFoundError):
                    (self._folder / each.file).unlink()
            _replace_file(self._folder / INDEX, msgspec.json.encode(entries))

        await anyio.to_thread.run_sync(write)

    def _read(self) -> list[Entry]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            present = {each.name: each.stat().st_size for each in self._folder.iterdir()}
        except OSError as error:
            raise StateError(
                f"conversations cannot be kept in {str(self._folder)!r}: {error}",
                hint="Give another --state-dir.",
            ) from error
        entries: list[Entry] = []
        if INDEX in present:
            try:
                entries = msgspec.json.decode((self._folder / INDEX).read_bytes(), type=list[Entry])
            except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
                LOG.warning("the index of saved conversations was dropped: %s", error)
        found = [each for each in entries if present.get(each.file) == each.size]
        if len(found) < len(entries):
            LOG.warning("%d saved conversations were dropped", len(entries) - len(found))
        kept = {each.file for each in found}
        for name in present:
            if name.endswith(SUFFIX) and name not in kept:
                with contextlib.suppress(OSError):
                    (self._folder / name).unlink()
        return sorted(found, key=lambda each: each.used_at)


def folder_of(state_dir: Path, name: str, reference: str) -> Path:
    """Where the conversations of a model are: a folder of its own below the server's."""
    plain = "".join(each if each.isalnum() or each in "-_." else "-" for each in name)[:60]
    digest = hashlib.blake2b(f"{name}\0{reference}".encode(), digest_size=6).hexdigest()
    return state_dir / f"{plain.lstrip('.')}-{digest}"


def _written(key: Key) -> tuple[str, bytes, int]:
    """What a key is made of, its bytes, and how many each of its parts has."""
    if isinstance(key, str):
        return "text", key.encode("utf-32-le", "surrogatepass"), 4
    return "tokens", array("q", key).tobytes(), 8


def _replace_file(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".index-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
