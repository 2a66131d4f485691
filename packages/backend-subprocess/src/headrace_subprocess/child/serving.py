"""Serving channels: one thread each, one request after the other."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Any

import headrace
from headrace.errors import (
    BackendError,
    ClosedError,
    HeadraceError,
    ModelMemoryError,
    ParamsError,
)
from headrace.loading.backend_call import load_with
from headrace.loading.choose import choose_backend
from headrace.params import EngineParams, ModelParams, SessionParams
from headrace.protocols import LoadRequest, Model
from headrace.requests.chat import ChatRequest
from headrace.results import StopReason
from headrace.streams.generation import GenerationReport
from headrace_subprocess import wire
from headrace_subprocess.child import checking
from headrace_subprocess.child.sessions import Asked, Overtaken, ServedChannel, ServedSession
from headrace_subprocess.child.things import Things, told_rendering
from headrace_subprocess.child.work import Request, Works
from headrace_subprocess.signals import Note, Signal

_EARLY = 1000
"""Sessions that are remembered to have been dropped."""
_HINTS = {
    errno.EFBIG: "The process may write no files; IsolationParams(write_files=True) allows it.",
    errno.ENETUNREACH: "The process has no network; IsolationParams(network=True) allows it.",
}


_OF_MODEL = frozenset(
    {"tokenize", "detokenize", "recommended_sampling", "system_info", "memory_usage"}
)
_LOADS = frozenset({"load_adapter", "load_control_vector"})
_OF_SESSION = frozenset({"rewind", "memory_usage"})
"""What may be called by its name."""


def _called(
    owner: object,
    method: str,
    known: frozenset[str],
    arguments: list[Any],
    options: dict[str, Any],
) -> Any:
    if method not in known:
        raise ParamsError(f"nothing called {method!r:.60} may be asked for")
    return getattr(owner, method)(*arguments, **options)


def _failure(error: BaseException) -> BackendError:
    return BackendError(f"{type(error).__name__} in the process: {error}", hint=_hint(error))


def _hint(error: BaseException | None) -> str | None:
    """What to do about an error of the system's that a limit of the process explains."""
    number = error.errno if isinstance(error, OSError) else None
    return None if number is None else _HINTS.get(number)


def _shown(code: object) -> str:
    """What ``sys.exit`` was called with."""
    return "" if code is None else f"{code!r:.200}"


class Server:
    """The model of this process and its sessions."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._sessions: dict[int, ServedSession] = {}
        self._things = Things()
        self._works = Works()
        self._load_stopped = False
        # A note may overtake the request that it is about.
        self._dropped: deque[int] = deque(maxlen=_EARLY)
        self._requests: dict[str, Callable[..., Any]] = {
            "prepare": self._prepare,
            "load": self._load,
            "advances": self._advances,
            "model": self._model_call,
            "work": self._work,
            "handle": self._handle,
            "render": self._render,
            "parse": self._parse,
            "open": self._open,
            "fork": self._fork,
            "adopt": self._adopt,
            "use": self._use,
            "session": self._session_call,
            "state": self._state,
            "load_state": self._load_state,
            "history": self._history,
            "generate": self._generate,
            "settle": self._settle,
            "check": self._check,
        }

    def serve(self, channel: ServedChannel) -> None:
        """Answer what comes through a channel, until the other side closes it."""
        try:
            message = channel.receive()
            while True:
                name, *arguments = message
                try:
                    self._send(channel, self._answer(channel, name, arguments))
                    message = channel.receive()
                except Overtaken as overtaken:
                    message = overtaken.message
        except wire.Disconnected:
            pass
        finally:
            channel.close()
            channel.ended.set()

    def _send(self, channel: wire.Channel, answer: tuple[str, Any]) -> None:
        try:
            channel.send(answer)
        except ParamsError as error:
            channel.send(("error", BackendError(f"the answer cannot be told: {error.message}")))

    def take_note(self, note: Note) -> None:
        """Act on a signal at once; what it is about may be gone."""
        if note.signal is Signal.STOP_LOAD:
            self._load_stopped = True
        elif note.signal is Signal.STOP_CALL:
            self._works.stop(note.session)
        elif note.signal is Signal.FORGET:
            self._things.forget(note.session)
        elif note.signal is Signal.DROP:
            self._dropped.append(note.session)
            session = self._sessions.pop(note.session, None)
            if session is not None:
                session.close()
        else:
            session = self._sessions.get(note.session)
            timed_out = note.signal is Signal.TIME_OUT
            if session is not None:
                reason = StopReason.TIMED_OUT if timed_out else StopReason.CANCELLED
                session.interrupt(note.generation, reason)

    def shut_down(self) -> None:
        """Close the model, if there is one."""
        if self._model is not None:
            self._model.close()

    def _answer(self, channel: wire.Channel, name: str, arguments: list[Any]) -> tuple[str, Any]:
        try:
            return "answer", self._requests[name](channel, *arguments)
        except (wire.Disconnected, Overtaken):
            raise
        except HeadraceError as error:
            error.hint = error.hint or _hint(error.__cause__)
            return "error", error
        except MemoryError as error:
            return "error", ModelMemoryError(
                f"the process has no memory left: {error}",
                hint="Raise IsolationParams.memory_bytes, or lower EngineParams.n_ctx.",
            )
        except SystemExit as error:
            return "error", BackendError(
                f"the backend called sys.exit({_shown(error.code)}) in its process"
            )
        except BaseException as error:  # panics of Rust extensions are no Exception
            return "error", _failure(error)

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
        options: dict[str, object],
    ) -> Any:
        def progress(fraction: float) -> bool | None:
            channel.send(("progress", float(fraction)))
            return False if self._load_stopped else None

        # Not load_model, which would give it a process of its own once more.
        self._model = load_with(
            choose_backend(backend, reference),
            LoadRequest(
                reference=reference,
                params=params,
                engine=engine,
                options=options,
                progress=progress,
            ),
        )
        return self._model.info, self._model.capabilities

    def _loaded(self) -> Model:
        if self._model is None:
            raise ClosedError("no model was loaded")
        return self._model

    def _model_call(
        self, channel: wire.Channel, method: str, arguments: list[Any], options: dict[str, Any]
    ) -> Any:
        return _called(self._loaded(), method, _OF_MODEL, arguments, options)

    def _work(self, channel: wire.Channel, number: int, session: int, request: Request) -> Any:
        asked = self._session(session).session if session else None
        return self._works.run(channel, number, self._loaded(), asked, request)

    def _handle(self, channel: wire.Channel, number: int, method: str, path: str) -> Any:
        return self._things.keep(number, _called(self._loaded(), method, _LOADS, [path], {})).info

    def _render(self, channel: wire.Channel, number: int, request: ChatRequest) -> Any:
        rendered = self._loaded().rendered(request)
        self._things.keep(number, rendered.parser)
        return told_rendering(rendered)

    def _parse(self, channel: wire.Channel, number: int, text: str, partial: bool) -> Any:
        return self._things.get(number).parse(text, partial=partial)

    def _advances(self, channel: wire.Channel) -> int:
        """Grows with every step that any session takes part in, and the progress of all calls."""
        steps = sum(session.steps for session in list(self._sessions.values()))
        return steps + self._works.advances

    def _check(self, channel: wire.Channel, backend: str, path: str, cpu_seconds: int) -> None:
        """Look at a file; each stage is announced, since it may be the last thing done here."""
        checking.check(channel, backend, path, cpu_seconds)

    # -- sessions -----------------------------------------------------------

    def _open(
        self, channel: ServedChannel, number: int, params: SessionParams, uses: list[Any]
    ) -> None:
        params = self._things.with_uses(params, uses)
        self._keep(number, ServedSession(self._loaded().open_session(params), channel))

    def _fork(self, channel: ServedChannel, source: int, number: int) -> None:
        self._keep(number, ServedSession(self._session(source).session.fork(), channel))

    def _keep(self, number: int, session: ServedSession) -> None:
        self._sessions[number] = session
        if number in self._dropped and self._sessions.pop(number, None) is not None:
            session.close()  # nobody waited for it

    def _adopt(self, channel: ServedChannel, number: int) -> None:
        """Go on with a session whose channel was lost, when its thread has done all it had got."""
        self._session(number).move_to(channel)

    def _use(self, channel: wire.Channel, number: int, uses: list[Any]) -> None:
        session = self._session(number).session
        params = self._things.with_uses(SessionParams(), uses)
        session.set_adapters(params.adapters)
        session.set_control_vectors(params.control_vectors)

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
        session = self._session(number)
        if method == "rewind_to":
            return session.rewind_to(*arguments)
        return _called(session.session, method, _OF_SESSION, arguments, options)

    def _state(self, channel: wire.Channel, number: int) -> None:
        data = memoryview(self._session(number).session.state())
        for at in range(0, len(data), wire.PART):
            channel.send(["part", bytes(data[at : at + wire.PART])])

    def _load_state(self, channel: wire.Channel, number: int, size: int) -> None:
        # All of it is read, whatever comes of it: the next message is the next request.
        data = bytearray()
        while len(data) < size:
            data += channel.receive()[1]
        self._session(number).session.load_state(data)

    def _history(self, channel: wire.Channel, number: int, what: str, seen: int) -> Any:
        session = self._session(number)
        session.note_seen(seen)
        return session.history(what)

    def _generate(
        self,
        channel: wire.Channel,
        session: int,
        number: int,
        request: Asked,
    ) -> GenerationReport | None:
        return self._session(session).stream(channel, number, request)

    def _settle(
        self,
        channel: wire.Channel,
        session: int,
        number: int,
        reason: StopReason | None,
        seen: int,
        carry: bytes,
    ) -> GenerationReport | None:
        return self._session(session).settle(number, reason, seen, carry)
