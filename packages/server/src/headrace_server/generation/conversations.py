"""Sessions that are kept after their request, so that the next turn finds what was computed.

The next request of a conversation begins with what the last one was. A kept session with which a
new request begins is gone on with; where another one only begins alike, the engine copies the
common part from its memory. What memory holds is the engine's own account: it forgets the
sessions that were not used for longest, and rebuilds on demand.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
import attrs

from headrace.errors import BackendError, ClosedError, DecodeError, HeadraceError
from headrace_server.errors import ApiError, GoneError

if TYPE_CHECKING:
    import headrace
    from headrace_server.generation.shelf import Shelf

Key = str | tuple[int, ...]
"""What a request's history begins with: text, or token ids. Turns of one conversation have keys of
which each begins with the one before."""


@attrs.frozen(eq=False)
class _Kept:
    key: Key
    session: headrace.Session


class Conversations:
    """The kept sessions of one model. For one event loop.

    Args:
        model: Whose sessions they are.
        most: Sessions that are kept; the one that was not used for longest leaves first.
        shelf: Where those go that leave; None: nowhere.
    """

    def __init__(self, model: headrace.Model, most: int, shelf: Shelf | None = None) -> None:
        self._model = model
        self._most = most
        self._shelf = shelf
        self._busy = 0
        self._kept: list[_Kept] = []  # used last at the end
        self._params: headrace.SessionParams | None = None

    def __len__(self) -> int:
        return len(self._kept)

    @contextlib.asynccontextmanager
    async def session(
        self, key: Key, params: headrace.SessionParams | None = None
    ) -> AsyncIterator[headrace.Session]:
        """A session for a request; kept afterwards, also when the client went away.

        Args:
            key: What its history will begin with.
            params: Settings of the session; with any but None it is not kept.
        """
        kept, begun_with = None if params is not None else self._taken(key), self._params
        self._busy += 1
        try:
            session = kept.session if kept is not None else await self._opened(key, params)
        except BaseException:
            self._busy -= 1
            raise
        stays: Key | None = key if params is None else None
        try:
            yield session
        except Exception as error:
            if stays is not None:
                stays = _kept_after(error, key, None if kept is None else kept.key)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                self._busy -= 1
                if stays is not None and begun_with is self._params:
                    await self._keep(_Kept(stays, session))
                else:
                    await session.aclose()

    async def _opened(self, key: Key, params: headrace.SessionParams | None) -> headrace.Session:
        """A new session, which is a saved one if there is one that the key begins with."""
        shelf = self._shelf if self._params is None else None
        if shelf is not None:
            # What the engine itself would drop from memory could not be saved any more.
            while self._kept and self._busy + len(self._kept) > self._most:
                with anyio.CancelScope(shield=True):
                    await self._let_go(self._kept.pop(0))
        session = await self._model.aopen_session(params or self._params)
        if shelf is not None and params is None:
            try:
                while (entry := shelf.longest(key)) is not None:
                    if await shelf.take(entry, session):
                        break
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await session.aclose()
                raise
        return session

    def _taken(self, key: Key) -> _Kept | None:
        """The session whose key is the longest that the new one begins with; the latest of them."""
        found = None
        for kept in self._kept:
            if _begins_with(key, kept.key) and (found is None or len(kept.key) >= len(found.key)):
                found = kept
        if found is not None:
            entry = None if self._shelf is None else self._shelf.longest(key)
            if entry is not None and entry.length > len(found.key):
                return None
            self._kept.remove(found)
        return found

    async def use(self, params: headrace.SessionParams) -> None:
        """Have sessions with these settings from now on, and forget the others."""
        self._params = params
        while self._kept:
            await self._kept.pop().session.aclose()

    async def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        while len(self._kept) > self._most:
            await self._let_go(self._kept.pop(0))

    async def _let_go(self, kept: _Kept) -> None:
        """Close a session; it is saved before where there is a shelf."""
        try:
            if self._shelf is not None and self._params is None:
                await self._shelf.put(kept.key, kept.session)
        finally:
            await kept.session.aclose()

    async def aclose(self) -> None:
        """Close all that is kept; it is saved before where there is a shelf."""
        while self._kept:
            await self._let_go(self._kept.pop(0))


def _begins_with(key: Key, start: Key) -> bool:
    return type(key) is type(start) and key[: len(start)] == start


def _kept_after(error: Exception, key: Key, before: Key | None) -> Key | None:
    """What a session is kept as after an error; None: not at all.

    Args:
        error: What its request ended with.
        key: The request's.
        before: What it was kept as before that.
    """
    if isinstance(error, GoneError):
        return key  # a client that goes away is no fault of the session's
    if isinstance(error, (BackendError, ClosedError, DecodeError)):
        return None
    # A request that was refused has left the history as it was.
    return before if isinstance(error, (HeadraceError, ApiError)) else None
