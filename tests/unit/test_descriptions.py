"""Every public class has a ``repr`` of its own."""

from __future__ import annotations

import enum
import inspect

import headrace
from headrace.backend import plugins
from headrace.loading.downloads.hub import HubResolver
from headrace.loading.downloads.pypi import PyPIResolver
from headrace_fake import FakeBackend

FOR_OTHERS_TO_INHERIT = {"Observer"}


def test_no_public_class_is_only_an_address():
    """Protocols and bases of other people's classes aside."""
    bare = [
        name
        for name in headrace.__all__
        if inspect.isclass(found := getattr(headrace, name))
        and not issubclass(found, (BaseException, enum.Enum))
        and not getattr(found, "_is_protocol", False)
        and found.__repr__ is object.__repr__
    ]
    assert set(bare) == FOR_OTHERS_TO_INHERIT


def test_backends_resolvers_and_observations():
    """Their names, and for a backend its version."""
    backend = FakeBackend()
    assert repr(backend) == f"<FakeBackend 'fake' {backend.version}>"
    assert repr(HubResolver()) == "<HubResolver of hf: references>"
    assert repr(PyPIResolver()) == "<PyPIResolver of pypi: references>"

    class Quiet(headrace.Observer):
        pass

    with headrace.observe(Quiet()) as observation:
        assert "Quiet" in repr(observation)


def test_what_was_discovered_fits_a_line():
    """Also a plugin in quarantine, whose traceback is long."""
    found = plugins.discover()
    for entry in (*found.backends, *found.resolvers, *found.quarantine):
        assert "\n" not in repr(entry)
