"""A model in the child, as its user in the parent sees it."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from headrace.bases import ModelBase
from headrace.errors import ClosedError, HeadraceError
from headrace.params import SessionParams
from headrace.prompts import check_tokens
from headrace.results import Capability, ModelInfo
from headrace_subprocess import wire
from headrace_subprocess.session import SubprocessSession
from headrace_subprocess.worker import Worker


class SubprocessModel(ModelBase):
    """A handle of what the child has loaded.

    Args:
        worker: The child; ended when the model is closed.
        info: What the backend says of the model.
        capabilities: What it can do.
        channel: A channel for calls of the model.
    """

    def __init__(
        self,
        worker: Worker,
        info: ModelInfo,
        capabilities: frozenset[Capability],
        channel: wire.Channel,
    ) -> None:
        super().__init__()
        self.info = info
        self.worker = worker
        self._capabilities = capabilities
        self._numbers = itertools.count(1)
        self._sessions: weakref.WeakSet[SubprocessSession] = weakref.WeakSet()
        # Channels for calls that nobody is using: calls of several threads run side by side.
        self._idle_channels = [channel]
        self._lock = threading.RLock()
        self._closed = False

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this model can do."""
        return self._capabilities

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Token ids of a text; see ``Model``."""
        tokens: list[int] = self._model_call(
            "tokenize", text, add_special=add_special, parse_special=parse_special
        )
        return tokens

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """Bytes that the tokens stand for; see ``Model``."""
        ids = check_tokens("tokens", tokens, self.info.n_vocab)
        data: bytes = self._model_call("detokenize", ids, special=special)
        return data

    def open_session(self, params: SessionParams | None = None) -> SubprocessSession:
        """A new, empty session; see ``Model``."""
        self.check_open()
        return self._kept(SubprocessSession(self, params or SessionParams(), next(self._numbers)))

    def open_fork(self, source: SubprocessSession) -> SubprocessSession:
        """A fork of a session."""
        return self._kept(SubprocessSession(self, source.params, next(self._numbers), source))

    def _kept(self, session: SubprocessSession) -> SubprocessSession:
        with self._lock:
            self._sessions.add(session)
        return session

    def _model_call(self, method: str, *arguments: Any, **options: Any) -> Any:
        self.check_open()
        return self.call("model", method, list(arguments), options)

    def call(self, *message: Any) -> Any:
        """A request beside the sessions' channels, and its answer."""
        channel = self._borrow()
        answer = self.worker.request(channel, *message)
        self._give_back(channel)
        return answer

    def _borrow(self) -> wire.Channel:
        try:
            return self._idle_channels.pop()
        except IndexError:
            return self.worker.open_channel()

    def _give_back(self, channel: wire.Channel) -> None:
        # One that an exception came out of is dropped: an answer may still be on its way.
        self._idle_channels.append(channel)

    def close(self) -> None:
        """Close the sessions, free the weights, end the child."""
        if self._closed or not self._in_own_process():
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            sessions = list(self._sessions)
        for session in sessions:
            session.close()
        with contextlib.suppress(HeadraceError):  # it is gone already
            self.call("close")
        self.worker.close()

    def check_open(self) -> None:
        """Raise if the model was closed, or belongs to another process."""
        self._check_process()
        if self._closed:
            raise ClosedError("the model was closed", backend=self.info.backend)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"in process {self.worker.pid}"
        return f"<{type(self).__name__} {self.info.name!r}: {state}>"
