"""What the fake is told to do."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import attrs

from headrace.errors import ParamsError
from headrace.params import check_names, choice, flag, integer, number
from headrace.protocols import Row, Truncation

_E = TypeVar("_E", bound=enum.Enum)


SCHEME = "fake:"
"""What its references begin with."""

WEIGHTS = 1_000_000
"""Bytes of memory that a fake model pretends to take."""

CELL = 1_000
"""Bytes of memory that a context pretends to take for each token it can hold."""


class Fault(str, enum.Enum):
    """What goes wrong in a step chosen by ``fault_at``."""

    ROW = "row"
    """The first row gets an error of its own instead of a token."""
    FAILED = "failed"
    """The step fails half-way; the context stays usable."""
    POISONED = "poisoned"
    """The step fails and so does every later one of that decoder."""
    NO_ROOM = "no_room"
    """The memory pretends to be full."""
    INTERRUPTED = "interrupted"
    """The step ends half-way though nobody asked."""
    KEYBOARD_INTERRUPT = "keyboard_interrupt"
    """The same, and then ``KeyboardInterrupt`` is raised, as a native call does after Ctrl-C."""
    RAISE = "raise"
    """A ``RuntimeError``, as from a backend with a defect."""
    SEGFAULT = "segfault"
    """The process ends by SIGSEGV: for tests of backends in a process of their own."""
    ABORT = "abort"
    """The process ends by SIGABRT, as after a failed assertion."""
    EXIT = "exit"
    """The process ends with exit code 7."""
    HANG = "hang"
    """It never ends, and nothing can stop it."""
    HOG = "hog"
    """Takes all memory there is, and ends the process as native code does then."""


class LoadFault(str, enum.Enum):
    """How a load fails."""

    NOT_FOUND = "not_found"
    FORMAT = "format"
    LOAD = "load"
    MEMORY = "memory"
    UNAVAILABLE = "unavailable"
    RAISE = "raise"
    """A ``RuntimeError``, as from a backend with a defect."""
    SEGFAULT = "segfault"
    """The process ends by SIGSEGV: for tests of backends in a process of their own."""
    ABORT = "abort"
    """The process ends by SIGABRT, as after a failed assertion."""
    EXIT = "exit"
    """The process ends with exit code 7."""
    HANG = "hang"
    """It never ends, and nothing can stop it."""
    HOG = "hog"
    """Takes all memory there is, and ends the process as native code does then."""


class Placement(str, enum.Enum):
    """Whether the text depends on where in memory the tokens lie, as last bits do in a library."""

    IGNORED = "ignored"
    """It does not."""
    APART = "apart"
    """It does, so reproducible sessions have a place apart."""
    SHARED = "shared"
    """It does, and there is none: no receipt says that a run was reproducible."""
    DENIED = "denied"
    """The same, of a backend that says it does not: for what must find that out."""


def as_bytes(value: Any) -> Any:
    """Text as UTF-8; anything else as it is."""
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise ParamsError(f"FakeOptions.script cannot be encoded: {error}") from error
    return value


def _is_script(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not (value is None or isinstance(value, bytes)):
        raise ParamsError(f"FakeOptions.script must be text, bytes or None, got {value!r}")


def _as_steps(value: Any) -> Any:
    if isinstance(value, (list, range)):
        return tuple(value)
    return (value,) if isinstance(value, int) else value


def _are_steps(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not all(
        isinstance(each, int) and each >= 1 for each in value
    ):
        raise ParamsError(f"FakeOptions.fault_at must be step numbers ≥ 1, got {value!r}")


def _as_truncation(value: Any) -> Truncation:
    return _member(Truncation, value)


def _as_placement(value: Any) -> Placement:
    return _member(Placement, value)


def _as_fault(value: Any) -> Fault:
    return _member(Fault, value)


def _as_load_fault(value: Any) -> LoadFault | None:
    return None if value is None else _member(LoadFault, value)


def _member(kind: type[_E], value: Any) -> _E:
    try:
        return kind(value)
    except ValueError:
        return cast(_E, value)  # refused by the validator, which names the field


def _one_of(kind: type[enum.Enum], *, optional: bool = False) -> Callable[..., None]:
    check = choice(*(member.value for member in kind))

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if not (value is None and optional):
            check(instance, field, value)

    return validate


@attrs.frozen(kw_only=True)
class FakeOptions:
    """What the fake writes, how long it takes, and when it fails.

    Make one with ``FakeOptions.of(...)`` to get "did you mean" for a mistyped name.

    Raises:
        ParamsError: For a value outside its range.
    """

    script: bytes | None = attrs.field(default=None, converter=as_bytes, validator=_is_script)
    """What each generation writes before its ``EOS``; any bytes. None: text drawn from ``seed``."""

    seed: int = attrs.field(default=0, validator=integer(0))
    """Without a script: chooses the text, together with all that is in memory."""

    mean_length: int = attrs.field(default=64, validator=integer(0, 2**20))
    """Without a script: tokens until ``EOS`` is the likeliest, on average; 0: it never is."""

    delay: float = attrs.field(default=0.0, validator=number(0))
    """Seconds a step takes, however many rows it has: batching pays off."""

    prefill_delay: float = attrs.field(default=0.0, validator=number(0))
    """Seconds more for each token of a row beyond its first."""

    n_ctx: int = attrs.field(default=4096, validator=integer(8, 2**31 - 1))
    """The model's own context length."""

    n_batch: int = attrs.field(default=2**20, validator=integer(1, 2**20))
    """Most tokens of a step, if the engine asks for more."""

    max_more: int = attrs.field(default=0, validator=integer(0, 2**10))
    """Most tokens that a row can want beyond its first: with any, a step goes on by itself."""

    truncation: Truncation = attrs.field(
        default=Truncation.ANY,
        converter=_as_truncation,
        validator=_one_of(Truncation),
    )
    """Kind of memory to mimic: ``any`` attention, ``recent`` sliding window, ``none`` recurrent."""

    reach: int = attrs.field(default=32, validator=integer(0))
    """With ``recent``: how many tokens back from the longest length can be forgotten."""

    placement: Placement = attrs.field(
        default=Placement.IGNORED,
        converter=_as_placement,
        validator=_one_of(Placement),
    )
    """Whether the text depends on where in memory the tokens lie: ``ignored``, or ``apart``,
    where reproducible sessions have a place for themselves, ``shared``, where they have not,
    ``denied``, where the backend says what is not so."""

    can_copy: bool = attrs.field(default=True, validator=flag())
    """Whether memory can be copied between sequences."""

    can_shift: bool = attrs.field(default=True, validator=flag())
    """Whether tokens can be removed from the middle of a memory (with ``truncation`` any only)."""

    interruptible: bool = attrs.field(default=True, validator=flag())
    """Whether a running step can be ended early, or only one that has not started."""

    fault_at: tuple[int, ...] = attrs.field(default=(), converter=_as_steps, validator=_are_steps)
    """Steps in which ``fault`` happens, counted from 1 over all contexts of a model; a call that
    embeds is a step too."""

    fault: Fault = attrs.field(
        default=Fault.FAILED,
        converter=_as_fault,
        validator=_one_of(Fault),
    )
    """What goes wrong there."""

    memory: int = attrs.field(default=2**40, validator=integer(0, 2**62))
    """Bytes of memory that there are: a model takes ``WEIGHTS`` of them, and a context
    ``CELL`` for each token. What does not fit is a ``ModelMemoryError``."""

    load_delay: float = attrs.field(default=0.0, validator=number(0))
    """Seconds a load takes."""

    load_fault: LoadFault | None = attrs.field(
        default=None,
        converter=_as_load_fault,
        validator=_one_of(LoadFault, optional=True),
    )
    """How a load fails, half-way through; None: it succeeds."""

    on_step: Callable[[int, Sequence[Row]], None] | None = None
    """Called in each step before anything else happens, with its id and rows, and in each call
    that embeds, without rows: for tests that must act meanwhile, such as cancelling."""

    @property
    def shiftable(self) -> bool:
        """Whether memory can be shifted: a window or a recurrent state never can."""
        return self.can_shift and self.truncation is Truncation.ANY

    @property
    def fingerprint(self) -> str:
        """Tells models apart that write different things, in few characters."""
        written = repr((self.script, self.seed, self.mean_length)).encode()
        return f"fake {zlib.crc32(written):08x}"

    @classmethod
    def of(cls, **values: Any) -> FakeOptions:
        """Make options from keywords.

        Raises:
            ParamsError: For an unknown name, with the closest known one.
        """
        return FakeOptions().changed(values)

    def changed(self, values: dict[str, Any]) -> FakeOptions:
        """These options with some of them replaced."""
        check_names("FakeOptions", values, _NAMES)
        return attrs.evolve(self, **values)


_NAMES = tuple(field.name for field in attrs.fields(FakeOptions))
