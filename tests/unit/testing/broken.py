"""Backends that break one rule each: the fake with something done to it, by the rule's id."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import Any

import attrs

from headrace import (
    BusyError,
    Capability,
    ClosedError,
    DecodeError,
    ModelMemoryError,
    ParamsError,
    SamplingParams,
    StateError,
    StopReason,
    TokenizeError,
    TokenStream,
)
from headrace.protocols import Delta
from headrace.results import Chunk
from headrace.testing import Subject
from headrace_fake import FakeBackend

BREAKERS: dict[str, Callable[[], Subject]] = {}


class Broken(FakeBackend):
    """A fake to whose models, sessions and streams something is done when they are made."""

    def __init__(self, *, model=None, session=None, stream=None, load=None) -> None:
        super().__init__(mean_length=0)
        self._on_model = model
        self._on_session = session
        self._on_stream = stream
        self._on_load = load

    def load(self, request):
        """A model that opens broken sessions."""
        model = super().load(self._on_load(request) if self._on_load else request)
        open_session = model.open_session

        def opened(params=None):
            session = open_session(params)
            self._break(session)
            return session

        model.open_session = opened
        if self._on_model:
            self._on_model(model)
        return model

    def _break(self, session) -> None:
        if self._on_stream:
            generate = session.generate

            def generated(*args, **keywords):
                stream = generate(*args, **keywords)
                self._on_stream(stream)
                return stream

            session.generate = generated
        if self._on_session:
            self._on_session(session)


def subject(backend, **more) -> Subject:
    """What the kit is run on."""
    more = {"model": "fake:", "adapter": "fake:#seed=1", "examples": 10, **more}
    return Subject(backend=backend, **more)


def breaks(id: str, **more):
    """Enter a function that does something to a model, a session or a stream; its argument tells.

    With an argument ``backend`` it returns the broken backend.
    """

    def enter(function):
        (kind,) = function.__code__.co_varnames[: function.__code__.co_argcount]

        def make() -> Subject:
            backend = function(FakeBackend) if kind == "backend" else Broken(**{kind: function})
            return subject(backend, **more)

        assert id not in BREAKERS, id
        BREAKERS[id] = make
        return function

    return enter


def wrap(thing, name: str, around: Callable[..., Any]) -> None:
    """Replace a method by ``around``, which gets the method it replaces as its first argument."""
    inner = getattr(thing, name)
    setattr(thing, name, lambda *args, **keywords: around(inner, *args, **keywords))


def change_class(thing, **members) -> None:
    """Replace what only a class can have, such as properties."""
    thing.__class__ = type(f"Broken{type(thing).__name__}", (type(thing),), members)


def generating(id: str, **more):
    """Enter a function that stands around ``session.generate``."""

    def enter(around):
        def session(session):
            wrap(session, "generate", lambda inner, *a, **k: around(session, inner, *a, **k))

        breaks(id, **more)(session)
        return around

    return enter


def settling(id: str, change: Callable[[Any], Any]) -> None:
    """Enter a backend that changes the report of its generations."""

    def stream(stream):
        wrap(stream._generation, "settle", lambda inner, *a, **k: change(inner(*a, **k)))

    breaks(id)(stream)


# -- discovery and loading ----------------------------------------------------

BREAKERS["discovery.found"] = lambda: subject("no-such-backend")


@breaks("discovery.protocol")
def _(backend):
    made = backend()
    made.protocol_version = 99
    return made


@breaks("discovery.capabilities")
def _(model):
    model._capabilities |= {Capability.IMAGES}


@breaks("discovery.can_load")
def _(backend):
    made = backend()
    made.can_load = lambda reference: open(reference, "rb").read(4) == b"FAKE"  # noqa: SIM115
    return made


@breaks("load.info")
def _(model):
    model.info = attrs.evolve(model.info, build="")


@breaks("load.missing")
def _(load):
    return attrs.evolve(load, reference="fake:")


BREAKERS["load.damaged"] = lambda: subject(Broken(), damaged_model="fake:")


def _progress(id: str, change) -> None:
    @breaks(id)
    def _(load):
        told = load.progress
        return load if told is None else attrs.evolve(load, progress=change(told))


def _wrong_error(told):
    def tell(fraction):
        try:
            return told(fraction)
        except Exception as error:
            raise KeyError("progress") from error

    return tell


_progress("load.progress", lambda told: lambda fraction: told(1 - fraction))
_progress("load.progress_cancels", lambda told: lambda fraction: bool(told(fraction)) or None)
_progress("load.progress_raises", _wrong_error)


@breaks("load.independent")
def _(backend):
    models = []

    def keep(model):
        models.append(model)
        wrap(model, "close", lambda inner: [type(each).close(each) for each in models])

    return Broken(model=keep)


# -- what is lacking and done all the same --------------------------------------


def _pretend_to_lack(capability: Capability) -> None:
    def model(model):
        model._capabilities -= {capability}
        if capability in (Capability.LORA, Capability.CONTROL_VECTORS):
            model.load_adapter = model.load_control_vector = lambda path: None

    def session(session):
        wrap(session, "generate", lambda inner, *a, sampling=None, **k: inner(*a, **k))
        session.infill = lambda prefix, suffix: session.generate(prefix)

    BREAKERS[f"lacking.{capability}"] = lambda: subject(Broken(model=model, session=session))


for _capability in (
    *(Capability.TOKENIZE, Capability.EMBED, Capability.RERANK, Capability.LORA),
    *(Capability.CONTROL_VECTORS, Capability.SHIFT, Capability.REPRODUCIBLE),
    *(Capability.LOGPROBS, Capability.GRAMMAR, Capability.SCORE, Capability.STATE),
    *(Capability.CHAT, Capability.INFILL),
):
    _pretend_to_lack(_capability)


# -- tokens ---------------------------------------------------------------------


@breaks("tokens.in_vocabulary")
def _(model):
    wrap(model, "tokenize", lambda inner, *a, **k: [*inner(*a, **k), 10**6])


@breaks("tokens.round_trip")
def _(model):
    wrap(model, "detokenize", lambda inner, *a, **k: inner(*a, **k)[:-1])


@breaks("tokens.nothing")
def _(model):
    wrap(model, "tokenize", lambda inner, *a, **k: inner(*a, **k) or [65])


@breaks("tokens.special")
def _(model):
    wrap(model, "tokenize", lambda inner, *a, add_special, **k: inner(*a, **k)[: 4 - add_special])


@breaks("tokens.outside")
def _(model):
    def lenient(inner, tokens, **keywords):
        return inner([each for each in tokens if 0 <= each < 259], **keywords)

    wrap(model, "detokenize", lenient)


def _replaced(text):
    return text.encode(errors="replace").decode()


@breaks("tokens.surrogates")
def _(model):
    wrap(model, "tokenize", lambda inner, text, **k: inner(_replaced(text), **k))


@generating("tokens.prompts")
def _(session, inner, prompt, **keywords):
    return inner(prompt[1:] if isinstance(prompt, list) else prompt, **keywords)


# -- streams ------------------------------------------------------------------


@breaks("stream.class")
def _(session):
    session.generate = lambda *a, **k: contextlib.nullcontext(iter([Chunk("x")]))


@breaks("stream.chunks")
def _(stream):
    change_class(
        stream,
        __next__=lambda self: attrs.evolve(TokenStream.__next__(self), text="?"),
    )


@breaks("stream.piecemeal")
def _(stream):
    def all_at_once(inner, max_wait):
        delta = inner(max_wait)
        while delta.end is None:
            more = inner(max_wait)
            delta = attrs.evolve(more, pieces=delta.pieces + more.pieces)
        return delta

    wrap(stream._generation, "pull", all_at_once)


def _run_ahead(stream):
    generation = stream._generation
    ready = [generation.pull(None)]
    wrap(generation, "pull", lambda inner, wait: ready.pop() if ready else inner(wait))


breaks("stream.lazy")(lambda stream: _run_ahead(stream))
breaks("cancel.unread")(lambda stream: _run_ahead(stream))


@breaks("stream.backpressure")
def _(stream):
    stream._generation.counters = lambda: (1000, 1000, 0)


settling("stream.usage", lambda report: attrs.evolve(report, usage=type(report.usage)()))
settling(
    "stream.timings",
    lambda report: attrs.evolve(report, timings=attrs.evolve(report.timings, total_seconds=-1.0)),
)
settling(
    "stream.receipt",
    lambda report: attrs.evolve(report, receipt=attrs.evolve(report.receipt, reason="")),
)
settling(
    "determinism.promised",
    lambda report: attrs.evolve(report, receipt=attrs.evolve(report.receipt, reproducible=True)),
)
settling(
    "determinism.seed",
    lambda report: attrs.evolve(
        report, receipt=attrs.evolve(report.receipt, seed=(report.receipt.seed or 0) + 1)
    ),
)


@breaks("stream.busy")
def _(session):
    streams = []

    def cancel_first(inner, *args, **keywords):
        for stream in streams:
            stream.close()
        streams.append(inner(*args, **keywords))
        return streams[-1]

    wrap(session, "generate", cancel_first)


# -- ends -----------------------------------------------------------------------


@generating("stop.max_tokens")
def _(session, inner, prompt, *, max_tokens, **keywords):
    return inner(prompt, max_tokens=max_tokens and max_tokens + 1, **keywords)


@generating("stop.max_tokens_zero")
def _(session, inner, prompt, *, max_tokens, **keywords):
    return inner(prompt, max_tokens=max_tokens or 1, **keywords)


@generating("stop.string")
def _(session, inner, prompt, *, stop=(), **keywords):
    return inner(prompt, **keywords)


@generating("stop.timeout")
def _(session, inner, prompt, *, timeout=None, **keywords):
    return inner(prompt, **keywords)


@breaks("stop.context_full")
def _(stream):
    def fail(inner, max_wait):
        delta = inner(max_wait)
        if delta.end is StopReason.CONTEXT_FULL:
            raise DecodeError("no room")
        return delta

    wrap(stream._generation, "pull", fail)


@generating("stop.too_long")
def _(session, inner, prompt, **keywords):
    return inner(prompt[-200:] if isinstance(prompt, list) else prompt, **keywords)


@breaks("stop.shift")
def _(model):
    wrap(model, "open_session", lambda inner, params: inner())


def _deaf(stream):
    stream._generation.interrupt = lambda reason: None


for _id in ("cancel.ends", "cancel.other_thread", "async.cancel"):
    breaks(_id)(lambda stream: _deaf(stream))


@breaks("cancel.usable")
def _(session):
    streams = []

    def once(inner, *args, **keywords):
        if any(stream._generation.interrupted for stream in streams):
            raise DecodeError("the session was cancelled")
        streams.append(inner(*args, **keywords))
        return streams[-1]

    wrap(session, "generate", once)


@breaks("cancel.dropped")
def _(session):
    session.kept = []

    def keep(inner, *args, **keywords):
        session.kept.append(inner(*args, **keywords))
        return session.kept[-1]

    wrap(session, "generate", keep)


@breaks("cancel.others")
def _(backend):
    generations = []

    def keep(stream):
        generations.append(stream._generation)
        stream._generation.interrupt = lambda reason: [
            type(each).interrupt(each, reason) for each in generations
        ]

    return Broken(stream=keep)


# -- determinism ----------------------------------------------------------------

_numbers = itertools.count()


def _restless(session, inner, prompt, *, sampling=None, **keywords):
    drawn = SamplingParams(temperature=2.0, top_k=0, top_p=1, min_p=0, seed=next(_numbers))
    return inner(prompt, sampling=drawn, **keywords)


for _id in ("determinism.greedy", "history.going_on", "fork.same", "rewind.same_again"):
    generating(_id)(_restless)


@generating("determinism.seeds_differ")
def _(session, inner, prompt, *, sampling, **keywords):
    return inner(prompt, sampling=attrs.evolve(sampling, seed=1), **keywords)


@breaks("determinism.neighbours")
def _(backend):
    streams = []

    def disturb(stream):
        streams.append(stream)

        def pull(inner, max_wait):
            delta = inner(max_wait)
            pieces = [attrs.evolve(each, data=b"?") for each in delta.pieces]
            return attrs.evolve(delta, pieces=tuple(pieces)) if len(streams) > 1 else delta

        wrap(stream._generation, "pull", pull)

    return Broken(stream=disturb)


@breaks("determinism.departures")
def _(backend):
    return backend(mean_length=0, placement="denied")


# -- history ------------------------------------------------------------------


@breaks("history.order")
def _(session):
    real = type(session).tokens
    change_class(session, tokens=property(lambda self: sorted(real.fget(self))))


@breaks("history.copy")
def _(session):
    real = type(session).tokens

    def cached(self):
        self.__dict__.setdefault("cached", real.fget(self))
        return self.cached

    change_class(session, tokens=property(cached))


def _forgets(id: str, ends, count) -> None:
    def stream(stream):
        generation = stream._generation

        def settle(inner, reason, seen, carry=b""):
            return inner(reason, count(generation, seen) if reason in ends else seen, carry)

        wrap(generation, "settle", settle)

    breaks(id)(stream)


_forgets("history.cancelled", {StopReason.CANCELLED}, lambda generation, seen: max(0, seen - 1))
_forgets("history.any_walk", set(StopReason), lambda generation, seen: max(0, seen - 1))
_forgets(
    "history.stop_string", {StopReason.STOP_STRING}, lambda generation, seen: generation.pulled
)


@generating("history.empty")
def _(session, inner, prompt, **keywords):
    return inner("x" if prompt is None and not session.tokens else prompt, **keywords)


@breaks("rewind.any_length")
def _(session):
    wrap(session, "rewind", lambda inner, to: inner(to=to // 4 * 4))


@breaks("rewind.range")
def _(session):
    def clamped(inner, to):
        return inner(to=min(max(int(to or 0), 0), len(session.tokens)))

    wrap(session, "rewind", clamped)


@breaks("rewind.busy")
def _(session):
    def quiet(inner, **keywords):
        with contextlib.suppress(BusyError):
            inner(**keywords)

    wrap(session, "rewind", quiet)


@breaks("reset.like_new")
def _(session):
    session.reset = lambda: None


@breaks("fork.own_way")
def _(session):
    session.fork = lambda: session


# -- abilities ------------------------------------------------------------------


def _pieces(id: str, change) -> None:
    def stream(stream):
        def pull(inner, max_wait):
            delta = inner(max_wait)
            return attrs.evolve(delta, pieces=tuple(map(change, delta.pieces)))

        wrap(stream._generation, "pull", pull)

    breaks(id)(stream)


_pieces("logprobs.beside", lambda piece: attrs.evolve(piece, logprob=None))
_pieces(
    "logprobs.top",
    lambda piece: attrs.evolve(
        piece,
        logprob=piece.logprob and attrs.evolve(piece.logprob, top=piece.logprob.top[::-1]),
    ),
)


@generating("logprobs.unasked")
def _(session, inner, prompt, *, sampling, **keywords):
    return inner(prompt, sampling=attrs.evolve(sampling, logprobs=0), **keywords)


@breaks("score.as_generated")
def _(session):
    def wrong(inner, *args, **keywords):
        score = inner(*args, **keywords)
        return attrs.evolve(
            score, logprobs=tuple(each if each is None else each - 1 for each in score.logprobs)
        )

    wrap(session, "score", wrong)


def _then_shorter(session, inner, *args, **keywords):
    done = inner(*args, **keywords)
    session.rewind(to=len(session.tokens) - 1)
    return done


def _shortened(id: str, name: str) -> None:
    @breaks(id)
    def _(session):
        wrap(session, name, lambda inner, *a, **k: _then_shorter(session, inner, *a, **k))


_shortened("score.leaves", "score")
_shortened("state.saving_changes_nothing", "state")
_shortened("state.goes_on", "load_state")


def _unconstrained(session, inner, prompt, *, sampling, **keywords):
    return inner(prompt, sampling=attrs.evolve(sampling, grammar=None), **keywords)


for _id in ("grammar.pattern", "grammar.choice", "grammar.json"):
    generating(_id)(_unconstrained)


@breaks("chat.chunks")
def _(session):
    def shout(inner, *args, **keywords):
        stream = inner(*args, **keywords)
        real = type(stream).result

        def result(self):
            done = real.fget(self)
            return attrs.evolve(done, message=attrs.evolve(done.message, content="?"))

        change_class(stream, result=property(result))
        return stream

    wrap(session, "chat", shout)


@breaks("chat.turns")
def _(session):
    def short(inner, messages, **keywords):
        return inner(messages[-1:] if session.tokens else messages, **keywords)

    wrap(session, "chat", short)


@breaks("chat.bad_message")
def _(session):
    def lenient(inner, messages, **keywords):
        try:
            return inner(messages, **keywords)
        except ParamsError:
            return inner(messages[:1], **keywords)

    wrap(session, "chat", lenient)


@generating("speculate.same")
def _(session, inner, prompt, **keywords):
    if session.params.speculate:
        return _restless(session, inner, prompt, **keywords)
    return inner(prompt, **keywords)


@breaks("infill.writes")
def _(session):
    wrap(session, "infill", lambda inner, *a, **k: inner(*a, **{**k, "timeout": 0.0}))


@breaks("adapters.act")
def _(model):
    wrap(model, "open_session", lambda inner, params: inner(attrs.evolve(params, adapters=())))


def _vectors(id: str, change) -> None:
    @breaks(id)
    def _(model):
        def embed(inner, *args, **keywords):
            made = inner(*args, **keywords)
            return attrs.evolve(made, vectors=change(made.vectors))

        wrap(model, "embed", embed)


_vectors("embed.alone", lambda vectors: vectors[::-1])
_vectors("embed.differ", lambda vectors: vectors[:1] * len(vectors))
_vectors("embed.length", lambda vectors: [[2 * each for each in vector] for vector in vectors])
_vectors("embed.nothing", lambda vectors: vectors or [[0.0]])


@breaks("rerank.order")
def _(model):
    wrap(model, "rerank", lambda inner, *a, sort=False, **k: inner(*a, **k))


@breaks("state.files")
def _(session):
    session.save_state = lambda target: target.write(b"")


@breaks("state.damaged")
def _(session):
    def lenient(inner, source):
        with contextlib.suppress(StateError):
            inner(source)

    wrap(session, "load_state", lenient)


# -- lifecycle ------------------------------------------------------------------


@breaks("lifecycle.close_twice")
def _(session):
    closed = []

    def once(inner):
        if closed:
            raise RuntimeError("closed already")
        closed.append(True)
        inner()

    wrap(session, "close", once)


@breaks("lifecycle.closed_session")
def _(session):
    session.close = lambda: None


@breaks("lifecycle.closed_model")
def _(model):
    model.close = lambda: None


@breaks("lifecycle.closed_under_stream")
def _(session):
    streams = []

    def keep(inner, *args, **keywords):
        streams.append(inner(*args, **keywords))
        return streams[-1]

    def close(inner):
        for stream in streams:
            stream.close()
        inner()

    wrap(session, "generate", keep)
    wrap(session, "close", close)


@breaks("lifecycle.any_order")
def _(session):
    def close(inner):
        session._model._check_open()
        inner()

    wrap(session, "close", close)


@breaks("lifecycle.blocks")
def _(session):
    change_class(session, __exit__=lambda self, *error: None)


@breaks("lifecycle.fork")
def _(model):
    model._check_process = lambda: None


# -- threads and tasks ----------------------------------------------------------


@generating("threads.share")
def _(session, inner, *args, **keywords):
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("not in the main thread")
    return inner(*args, **keywords)


@breaks("threads.move")
def _(session):
    opener = threading.get_ident()

    def generate(inner, *args, **keywords):
        if threading.get_ident() != opener:
            raise RuntimeError("not in the thread that opened it")
        return inner(*args, **keywords)

    wrap(session, "generate", generate)


@breaks("threads.no_seats")
def _(model):
    opened = itertools.count(1)

    def open_session(inner, *args):
        if next(opened) > model.engine_params.n_sequences:
            raise ModelMemoryError("no seat is free")
        return inner(*args)

    wrap(model, "open_session", open_session)


@breaks("threads.close")
def _(stream):
    def pull(inner, max_wait):
        try:
            return inner(max_wait)
        except ClosedError:
            return Delta(end=StopReason.CANCELLED)

    def deliver(inner, pieces):
        try:
            return inner(pieces)
        except ClosedError:
            return False

    wrap(stream._generation, "pull", pull)
    wrap(stream._generation, "deliver", deliver)


def _apulling(id: str, make) -> None:
    @breaks(id)
    def _(stream):
        stream._generation.apull = make(stream._generation, stream._generation.apull)


def _early(generation, inner):
    async def apull(max_wait):
        return attrs.evolve(await inner(max_wait), end=StopReason.EOG)

    return apull


_busy: list[bool] = []


def _alone(generation, inner):
    async def apull(max_wait):
        if _busy:
            raise RuntimeError("one task at a time")
        _busy.append(True)
        try:
            return await inner(max_wait)
        finally:
            _busy.pop()

    return apull


def _blocking(generation, inner):
    async def apull(max_wait):
        return generation.pull(max_wait)

    return apull


_apulling("async.stream", _early)
_apulling("async.tasks", _alone)
_apulling("async.loop_turns", _blocking)


@breaks("async.close")
def _(backend):
    streams = []

    def ends_well(model):
        async def aclose():
            for stream in streams:
                stream.cancel()

        model.aclose = aclose

    return Broken(stream=streams.append, model=ends_well)


# -- hostile input --------------------------------------------------------------


@generating("hostile.prompts")
def _(session, inner, prompt, **keywords):
    usual = prompt is None or (isinstance(prompt, str) and prompt)
    return inner(prompt if usual else f"{prompt} ", **keywords)


@generating("hostile.arguments")
def _(session, inner, prompt, *, max_tokens=None, **keywords):
    return inner(prompt, max_tokens=max_tokens and abs(int(max_tokens)), **keywords)


@generating("hostile.ids")
def _(session, inner, prompt, **keywords):
    try:
        return inner(prompt, **keywords)
    except TokenizeError:
        return inner([1], **keywords)


@generating("hostile.surrogates")
def _(session, inner, prompt, **keywords):
    return inner(_replaced(prompt), **keywords)


@generating("hostile.nul")
def _(session, inner, prompt, **keywords):
    if "\0" in prompt:
        raise ValueError("embedded null byte")
    return inner(prompt, **keywords)


@generating("hostile.anything")
def _(session, inner, prompt, **keywords):
    try:
        return inner(prompt, **keywords)
    except ParamsError as error:
        raise TypeError("bad argument") from error
