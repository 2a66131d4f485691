"""``BackendConformance``: the rules as tests of a class that a backend's author subclasses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import pytest

from headrace.backend.backend import Backend
from headrace.errors import ParamsError
from headrace.testing.kit import Kit, Subject
from headrace.testing.report import Status
from headrace.testing.rules import Rule, checked_skips, chosen
from headrace.testing.running import check_installed, run_rule

_SUBJECT_FIELDS = tuple(
    field.name for field in attrs.fields(Subject) if field.name not in ("backend", "model")
)


class BackendConformance:
    """Subclass it in a test module, with a name that begins with ``Test``.

    Every field of ``Subject`` may be set as an attribute of the class, or ``subject`` be
    overridden where a value has to be made first.
    """

    backend_name: ClassVar[str | Backend]
    """Name of the backend, or the backend itself."""
    model: ClassVar[str]
    """Reference of a small model that writes at least 32 tokens."""
    rules: ClassVar[tuple[str, ...]] = ()
    """Ids or areas of the rules to run; empty: all."""
    skip_rules: ClassVar[Mapping[str, str]] = {}
    """Why a rule is not looked at, by its id."""

    @classmethod
    def subject(cls) -> Subject:
        """What is tested."""
        for name in ("backend_name", "model"):
            if not hasattr(cls, name):
                raise ParamsError(f"{cls.__name__}.{name} is missing: the kit must know it")
        given = {name: getattr(cls, name) for name in _SUBJECT_FIELDS if hasattr(cls, name)}
        return Subject(backend=cls.backend_name, model=cls.model, **given)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each rule; a wrong name or a skip without a reason is an error here."""
        if "rule" in metafunc.fixturenames:
            checked_skips(dict(self.skip_rules))
            rules = chosen(self.rules)
            metafunc.parametrize("rule", rules, ids=[each.id for each in rules])

    _kit: ClassVar[Kit]

    @classmethod
    def setup_class(cls) -> None:
        """The subject, with a model that the rules share."""
        check_installed()
        cls._kit = Kit(cls.subject())

    @classmethod
    def teardown_class(cls) -> None:
        """Close the model."""
        cls._kit.forget_model()

    def test_rule(self, rule: Rule, record_property: Any) -> None:
        """A rule holds."""
        outcome = run_rule(self._kit, rule, self.skip_rules.get(rule.id))
        for name, value in outcome.notes.items():
            record_property(name, value)
        if outcome.status is Status.FAILED:
            pytest.fail(f"{rule.sentence}\n{outcome.reason}\n\n{outcome.traceback}", pytrace=False)
        if outcome.status is not Status.PASSED:
            pytest.skip(outcome.reason)
