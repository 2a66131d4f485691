"""Loading a model, and what can go wrong with it."""

from __future__ import annotations

from headrace.errors import HeadraceError, ModelError, ModelLoadCancelledError
from headrace.loading.load import load_model
from headrace.results import Capability
from headrace.testing.kit import (
    Kit,
    NotApplicable,
    Violation,
    closing_all,
    expect,
    expect_equal,
    expect_error,
)
from headrace.testing.rules import rule


@rule("load.writes")
def writes(kit: Kit) -> None:
    """The model that is tested can be loaded and writes text."""
    with kit.session() as session:
        expect(kit.say(session, n=4).text, f"nothing was written after {kit.subject.prompt!r}")


@rule("load.info")
def info(kit: Kit) -> None:
    """model.info names the model, the backend, the build and the vocabulary."""
    told = kit.model.info
    for field in ("name", "backend", "build"):
        value = getattr(told, field)
        expect(isinstance(value, str) and value, f"info.{field} is {value!r}")
    if Capability.TOKENIZE in kit.model.capabilities:
        expect(told.n_vocab > 0, f"info.n_vocab is {told.n_vocab!r}")
        strange = {k: v for k, v in told.special_tokens.items() if not 0 <= v < told.n_vocab}
        expect(not strange, f"special tokens outside the vocabulary: {strange}")


@rule("load.missing", without_model=True)
def missing(kit: Kit) -> None:
    """A model that is not there is a ModelError that names it."""
    reference = kit.subject.missing_model
    expect_error(
        ModelError, lambda: _load(kit, reference), f"loading {reference!r}", said=reference
    )


@rule("load.damaged", given="damaged_model", without_model=True)
def damaged(kit: Kit) -> None:
    """A damaged model is a ModelError."""
    reference = str(kit.subject.damaged_model)
    expect_error(ModelError, lambda: _load(kit, reference), f"loading {reference!r}")


def _load(kit: Kit, reference: str) -> None:
    subject = kit.subject
    load_model(
        reference, backend=subject.backend, params=subject.params, engine=subject.engine
    ).close()


@rule("load.progress")
def progress(kit: Kit) -> None:
    """Progress goes from 0 to 1 and never back."""
    told: list[float] = []
    kit.load(progress=lambda fraction: told.append(fraction)).close()
    expect(all(0 <= each <= 1 for each in told), f"progress outside 0 … 1: {told!r:.200}")
    expect(told == sorted(told), f"progress went back: {told!r:.200}")


@rule("load.progress_cancels")
def progress_cancels(kit: Kit) -> None:
    """A progress function that returns False ends the load."""
    called = []

    def stop(fraction: float) -> bool:
        called.append(fraction)
        return False

    try:
        kit.load(progress=stop).close()
    except ModelLoadCancelledError:
        return
    except HeadraceError as error:
        raise Violation(f"it ended with {type(error).__name__}: {error}") from error
    if not called:
        raise NotApplicable("the backend tells no progress")
    raise Violation("the model was loaded all the same")


class _OwnError(Exception):
    pass


@rule("load.progress_raises")
def progress_raises(kit: Kit) -> None:
    """What a progress function raises comes out of the load as it is."""
    called = []

    def fail(fraction: float) -> None:
        called.append(fraction)
        raise _OwnError("of the caller")

    try:
        kit.load(progress=fail).close()
    except _OwnError:
        return
    except HeadraceError as error:
        raise Violation(f"it came out as {type(error).__name__}: {error}") from error
    if not called:
        raise NotApplicable("the backend tells no progress")
    raise Violation("it was swallowed")


@rule("load.independent")
def independent(kit: Kit) -> None:
    """Two loads are two models: one works on when the other is closed."""
    first, second = kit.load(), kit.load()
    with closing_all(first, second):
        session = second.open_session()
        kit.say(session, n=2)
        first.close()
        expect_equal(len(kit.say(second.open_session(), n=2).text) > 0, True, "text written")
