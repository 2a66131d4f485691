"""Serving channels: one thread each, one request after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headrace
from headrace.errors import BackendError, ClosedError, HeadraceError
from headrace.params import EngineParams, ModelParams, SessionParams
from headrace.protocols import Model
from headrace.protocols.waist import GenerationReport
from headrace.results import StopReason
from headrace_subprocess import wire
from headrace_subprocess.child.sessions import ServedSession
from headrace_subprocess.signals import Note, Signal


class Server:
    """The model of this process and its sessions."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._sessions: dict[int, ServedSession] = {}
        self._load_stopped = False
        self._requests: dict[str, Callable[..., Any]] = {
            "prepare": self._prepare,
            "load": self._load,
            "close": self._close,
            "steps": self._steps,
            "model": self._model_call,
            "open": self._open,
            "fork": self._fork,
            "adopt": self._adopt,
            "session": self._session_call,
            "tokens": self._tokens,
            "generate": self._generate,
            "settle": self._settle,
        }

    def serve(self, channel: wire.Channel) -> None:
        """Answer what comes through a channel, until the other side closes it."""
        try:
            while True:
                name, *arguments = channel.receive()
                channel.send(self._answer(channel, name, arguments))
        except wire.Disconnected:
            pass
        finally:
            channel.close()

    def take_note(self, note: Note) -> None:
        """Act on a signal at once; its session may be gone."""
        if note.signal is Signal.STOP_LOAD:
            self._load_stopped = True
            return
        session = self._sessions.get(note.session)
        if session is None:
            return
        if note.signal is Signal.DROP:
            del self._sessions[note.session]
            session.close()
            return
        reason = StopReason.CANCELLED
        if note.signal is Signal.TIME_OUT:
            reason = StopReason.TIMED_OUT
        session.interrupt(note.generation, reason)

    def shut_down(self) -> None:
        """Close the model, if there is one."""
        if self._model is not None:
            self._model.close()

    def _answer(self, channel: wire.Channel, name: str, arguments: list[Any]) -> tuple[str, Any]:
        try:
            return "answer", self._requests[name](channel, *arguments)
        except wire.Disconnected:
            raise
        except HeadraceError as error:
            return "error", error
        except Exception as error:
            return "error", BackendError(f"{type(error).__name__} in the process: {error}")

    # -- the model ----------------------------------------------------------

    def _prepare(self, channel: wire.Channel) -> list[str]:
        """Import what a load will need."""
        return list(headrace.backends())

    def _load(
        self,
        channel: wire.Channel,
        backend: str,
        reference: str,
        params: ModelParams,
        engine: EngineParams,
    ) -> Any:
        def progress(fraction: float) -> bool | None:
            channel.send(("progress", fraction))
            return False if self._load_stopped else None

        self._model = headrace.load_model(
            reference, backend=backend, params=params, engine=engine, progress=progress
        )
        return self._model.info, self._model.capabilities

    def _close(self, channel: wire.Channel) -> None:
        self.shut_down()

    def _loaded(self) -> Model:
        if self._model is None:
            raise ClosedError("no model was loaded")
        return self._model

    def _model_call(
        self, channel: wire.Channel, method: str, arguments: list[Any], options: dict[str, Any]
    ) -> Any:
        return getattr(self._loaded(), method)(*arguments, **options)

    def _steps(self, channel: wire.Channel) -> int:
        """Steps that any session has taken part in: whether anything is brought forward."""
        return sum(session.steps for session in list(self._sessions.values()))

    # -- sessions -----------------------------------------------------------

    def _open(self, channel: wire.Channel, number: int, params: SessionParams) -> None:
        self._sessions[number] = ServedSession(self._loaded().open_session(params))

    def _fork(self, channel: wire.Channel, source: int, number: int) -> None:
        self._sessions[number] = ServedSession(self._session(source).session.fork())

    def _adopt(self, channel: wire.Channel, number: int) -> None:
        """Go on with a session whose channel was lost, when its thread has noticed."""
        self._session(number).idle.wait()

    def _session(self, number: int) -> ServedSession:
        try:
            return self._sessions[number]
        except KeyError:
            raise ClosedError("the session was closed") from None

    def _session_call(
        self,
        channel: wire.Channel,
        number: int,
        method: str,
        arguments: list[Any],
        options: dict[str, Any],
    ) -> Any:
        return getattr(self._session(number).session, method)(*arguments, **options)

    def _tokens(self, channel: wire.Channel, number: int, seen: int) -> list[int]:
        session = self._session(number)
        session.note_seen(seen)
        return session.session.tokens

    def _generate(
        self,
        channel: wire.Channel,
        session: int,
        number: int,
        prompt: Any,
        options: dict[str, Any],
    ) -> GenerationReport | None:
        return self._session(session).stream(channel, number, prompt, options)

    def _settle(
        self,
        channel: wire.Channel,
        session: int,
        reason: StopReason | None,
        seen: int,
        carry: bytes,
    ) -> GenerationReport | None:
        return self._session(session).settle(reason, seen, carry)
