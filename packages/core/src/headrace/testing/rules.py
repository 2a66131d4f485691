"""Rules: what the conformance kit knows of a backend's promises, each with an id and a sentence.

A rule is a function of a ``Kit``. It is independent of pytest: the same rules run as tests of a
class and from the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import attrs

from headrace.errors import ParamsError
from headrace.results import Capability

if TYPE_CHECKING:
    from headrace.testing.kit import Kit

Check = Callable[["Kit"], None]


@attrs.frozen
class Rule:
    """One promise."""

    id: str
    """Area and name, such as ``rewind.any_length``: stable, to be named in ``skip_rules``."""
    sentence: str
    """What is promised."""
    check: Check = attrs.field(repr=False)
    """Raises if it is not kept."""
    needs: frozenset[Capability] = frozenset()
    """The rule is for models with all of these."""
    lacking: Capability | None = None
    """The rule is for models without this one."""
    given: str | None = None
    """The rule is for subjects with this field set."""
    without_model: bool = False
    """The rule is looked at before the model is loaded, and where it cannot be."""
    endless: bool = False
    """The rule is for models that can be kept from ending, with ``ignore_eog``."""

    @property
    def area(self) -> str:
        """What stands before the dot."""
        return self.id.partition(".")[0]


_rules: dict[str, Rule] = {}


def rule(
    id: str,
    sentence: str = "",
    *,
    needs: Iterable[Capability] = (),
    lacking: Capability | None = None,
    given: str | None = None,
    without_model: bool = False,
    endless: bool = False,
) -> Callable[[Check], Check]:
    """Make a rule of a function, whose docstring begins with its sentence unless one is given."""

    def register(check: Check) -> Check:
        assert id not in _rules, id
        told = sentence or (check.__doc__ or "").partition("\n")[0]
        _rules[id] = Rule(id, told, check, frozenset(needs), lacking, given, without_model, endless)
        return check

    return register


def all_rules() -> dict[str, Rule]:
    """Every rule by its id, in the order in which they run."""
    import headrace.testing.suite  # noqa: F401  # whose modules register theirs

    return _rules


def checked_skips(skips: dict[str, str]) -> dict[str, str]:
    """The reasons for skipping rules, by their ids.

    Raises:
        ParamsError: For an unknown id or an empty reason.
    """
    for id, reason in skips.items():
        _known(id)
        if not str(reason or "").strip():
            raise ParamsError(
                f"skip_rules[{id!r}] must say why the rule is skipped, got {reason!r}",
                hint="A sentence about the backend, for those who read the report.",
            )
    return dict(skips)


def chosen(names: Iterable[str] = ()) -> list[Rule]:
    """The rules of these ids and areas; without names, all.

    Raises:
        ParamsError: For an unknown one.
    """
    known = all_rules()
    wanted = set(names)
    for name in wanted - {each.area for each in known.values()}:
        _known(name)
    return [each for each in known.values() if not wanted or {each.id, each.area} & wanted]


def _known(id: str) -> None:
    import difflib

    known = all_rules()
    if id not in known:
        close = difflib.get_close_matches(str(id), known, n=1)
        raise ParamsError(
            f"there is no rule {id!r}",
            hint=f"Did you mean {close[0]!r}?" if close else "headrace conformance --list has all.",
        )
