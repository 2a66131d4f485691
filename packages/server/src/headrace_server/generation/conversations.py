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

if TYPE_CHECKING:
    import headrace

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
        most: Sessions that are kept; the one that was not used for longest is closed first.
    """

    def __init__(self, model: headrace.Model, most: int) -> None:
        self._model = model
        self._most = most
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
        session = None if params is not None else self._taken(key)
        if session is None:
            session = await self._model.aopen_session(params or self._params)
        keep, begun_with = params is None, self._params
        try:
            yield session
        except Exception:
            keep = False  # what its history is now is not worth finding out
            raise
        finally:
            with anyio.CancelScope(shield=True):
                if keep and begun_with is self._params:
                    await self._keep(_Kept(key, session))
                else:
                    await session.aclose()

    def _taken(self, key: Key) -> headrace.Session | None:
        """The session whose key is the longest that the new one begins with."""
        found = None
        for kept in self._kept:
            if _begins_with(key, kept.key) and (found is None or len(kept.key) > len(found.key)):
                found = kept
        if found is None:
            return None
        self._kept.remove(found)
        return found.session

    async def use(self, params: headrace.SessionParams) -> None:
        """Have sessions with these settings from now on, and forget the others."""
        self._params = params
        await self.aclose()

    async def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        while len(self._kept) > self._most:
            await self._kept.pop(0).session.aclose()

    async def aclose(self) -> None:
        """Close all that is kept."""
        while self._kept:
            await self._kept.pop().session.aclose()


def _begins_with(key: Key, start: Key) -> bool:
    return key[: len(start)] == start
