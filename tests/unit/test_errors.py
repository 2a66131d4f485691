"""The error tree."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest

import headrace
from headrace import errors

ROOT = Path(__file__).parents[2]
CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.HeadraceError)
]
BUILTINS = {
    errors.UsageError: RuntimeError,
    errors.CopyError: TypeError,
    errors.ParamsError: ValueError,
    errors.BackendNotFoundError: LookupError,
    errors.BackendUnavailableError: ImportError,
    errors.ModelNotFoundError: FileNotFoundError,
    errors.ModelFormatError: ValueError,
    errors.ModelMemoryError: MemoryError,
    errors.TokenizeError: ValueError,
    errors.GrammarError: ValueError,
    errors.TemplateError: ValueError,
    errors.ChatParseError: ValueError,
    errors.StateError: ValueError,
    errors.UnsupportedError: NotImplementedError,
}


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_pickling_with_all_it_knows(cls):
    """As it must to cross a process boundary."""
    error = cls(
        "what happened", hint="Do this.", backend="b", native_code=-3, native_log=["one", "two"]
    )
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert vars(copy) == vars(error)
    assert str(copy) == str(error) == "what happened. Do this."
    assert copy.native_log == ("one", "two")


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_takes_its_causes_along(cls):
    """As far as they can go: one that cannot is told as text."""

    class Local(Exception):
        """No pickle finds it."""

    error = cls("at last")
    error.__cause__ = errors.BackendError("before", backend="b")
    error.__cause__.__cause__ = ValueError("at first")
    other = cls("at last")
    other.__cause__ = Local("nobody knows it")
    for there in (lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy):
        first = there(error)
        assert type(first.__cause__) is errors.BackendError
        assert first.__cause__.backend == "b"
        assert repr(first.__cause__.__cause__) == "ValueError('at first')"
        assert "nobody knows it" in str(there(other).__cause__)
        assert there(cls("alone")).__cause__ is None


def test_an_error_of_somebody_else_travels_whatever_it_is_made_of():
    """Its class may want other arguments than a message."""
    error = Elsewhere(3, device="gpu")
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), there.device) == (Elsewhere, str(error), "gpu")


class Elsewhere(errors.DecodeError):
    """A backend's own."""

    def __init__(self, number, *, device):
        super().__init__(f"{device} {number} fell off")
        self.device = device


def test_a_decode_error_remembers_that_it_poisoned():
    """Its own attribute travels too."""
    error = pickle.loads(pickle.dumps(errors.DecodeError("no", poisoned=True)))
    assert error.poisoned


@pytest.mark.parametrize(("cls", "builtin"), BUILTINS.items())
def test_an_error_is_also_what_python_calls_it(cls, builtin):
    """So that callers need not know headrace."""
    assert issubclass(cls, builtin)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_tree_in_the_module_docstring_names_every_class(cls):
    """The drawing is the documentation."""
    assert cls.__name__ in errors.__doc__
    assert getattr(headrace, cls.__name__) is cls
    assert cls.__doc__


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_names_its_place_in_the_documentation(cls):
    """A heading of the page on errors, which exists."""
    page, anchor = cls("no").docs.split("#")
    headings = re.findall(r"^### `(\w+)`$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in [each.lower() for each in headings]
    assert anchor == cls.__name__.lower()


def test_an_error_of_somebody_else_leads_to_the_nearest_class_here():
    """A backend may have subclasses of its own."""

    class OddError(errors.DecodeError):
        pass

    assert OddError("no").docs == "docs/errors.md#decodeerror"
