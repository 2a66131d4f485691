"""Whatever a caller passes: a typed error that names it, and a session that still works."""

from __future__ import annotations

from typing import Any

from headrace.errors import HeadraceError, ParamsError, TokenizeError
from headrace.results import Capability
from headrace.testing.kit import Kit, Violation, expect, expect_error
from headrace.testing.rules import rule
from headrace.testing.suite.properties import for_all

_NUMBERS: list[dict[str, Any]] = [
    {"max_tokens": -1},
    {"max_tokens": 1.5},
    {"max_tokens": True},
    {"timeout": -1},
    {"timeout": float("nan")},
    {"timeout": "soon"},
    {"stop": [""]},
    {"stop": [3]},
    {"ignore_eog": 1},
    {"sampling": {}},
]


def _refused(kit: Kit, arguments: dict[str, Any], kinds: Any, said: str = "") -> None:
    keywords = {"prompt": kit.subject.prompt, **arguments}
    with kit.session() as session:
        said = said or next(iter(arguments))
        expect_error(
            kinds, lambda: session.generate(**keywords), f"generate({arguments!r:.60})", said
        )
        expect(kit.say(session, n=1).text is not None, "the session cannot go on")


@rule("hostile.prompts")
def prompts(kit: Kit) -> None:
    """An empty prompt, or one of a wrong type, is a ParamsError."""
    wrong: tuple[object, ...] = ("", [], b"bytes", 7)
    for prompt in wrong:
        _refused(kit, {"prompt": prompt}, ParamsError)


@rule("hostile.arguments")
def arguments(kit: Kit) -> None:
    """A bad argument of generate is a ParamsError that names it."""
    for case in _NUMBERS:
        _refused(kit, case, ParamsError)


@rule("hostile.ids", needs=[Capability.TOKENIZE])
def ids(kit: Kit) -> None:
    """Ids that are none are refused."""
    outside: tuple[object, ...] = ([1, -1], [kit.model.info.n_vocab], [2**31], [10**30])
    for prompt in outside:
        _refused(kit, {"prompt": prompt}, TokenizeError)
    strange: tuple[object, ...] = ([1.5], [True], ["x"], [None])
    for prompt in strange:
        _refused(kit, {"prompt": prompt}, ParamsError)


@rule("hostile.surrogates")
def surrogates(kit: Kit) -> None:
    """A prompt with a lone surrogate is a TokenizeError."""
    _refused(kit, {"prompt": "a\ud800b"}, TokenizeError, said="surrogate")


@rule("hostile.nul")
def nul(kit: Kit) -> None:
    """A NUL in a prompt is a character like any other."""
    with kit.session() as session:
        expect(kit.say(session, "a\0b", n=2).text is not None, "nothing came back")


@rule("hostile.anything")
def anything(kit: Kit) -> None:
    """Any value for any argument is taken, or refused with a typed error."""
    from hypothesis import strategies as st

    values = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.binary(max_size=5),
        st.lists(st.integers(), max_size=3),
    )
    names = st.sampled_from(["prompt", "max_tokens", "stop", "timeout", "ignore_eog", "sampling"])

    @for_all(kit, name=names, value=values)
    def check(name: str, value: object) -> None:
        with kit.session() as session:
            keywords: dict[str, Any] = {"prompt": kit.subject.prompt, "max_tokens": 1, name: value}
            try:
                session.generate(**keywords).close()
            except HeadraceError:
                pass
            except Exception as error:
                raise Violation(
                    f"generate({name}={value!r}) raised {type(error).__name__}: {error}"
                ) from error
