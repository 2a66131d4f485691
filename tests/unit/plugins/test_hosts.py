"""Hosts of plugins: they load with any backend elsewhere, and what they do wrong is told."""

from __future__ import annotations

import pytest

import headrace
from headrace import ModelParams
from headrace.backend.plugins import discover
from headrace.errors import (
    BackendError,
    BackendNotFoundError,
    BackendProtocolError,
    ModelFormatError,
    ModelLoadCancelledError,
)
from headrace.loading import isolation
from tests.unit.plugins.test_discovery import only_quarantined

HOST = """
    from headrace.errors import ModelFormatError
    from headrace.protocols import hookimpl

    class Mill:
        name = {name!r}
        protocol_version = 2
        version = "1.2"

        def load(self, request, backend):
            {load}

        def open_checker(self, backend, limits):
            {check}

    @hookimpl
    def headrace_register_hosts(register):
        register({registered})
"""
PASSES_ON = "return backend.load(request)"
THERE = "process_for_tests"


@pytest.fixture(autouse=True)
def _wanted(monkeypatch):
    """``isolation='process'`` looks for a host that no installed plugin brings."""
    monkeypatch.setattr(isolation, "PROCESS", THERE)


def host(
    site,
    load: str = PASSES_ON,
    check: str = "return None",
    *,
    name: str = THERE,
    registered: str = "Mill()",
    plugin: str = "mill",
) -> None:
    """Install a plugin with a host."""
    source = HOST.format(name=name, load=load, check=check, registered=registered)
    site.install(plugin, source)


def isolated(**more):
    """A model of the fake, loaded by the host."""
    return headrace.load_model("fake:Hello", params=ModelParams(isolation="process"), **more)


def test_a_host_loads_with_the_backend_that_was_chosen(site):
    """It is listed beside backends, and is none itself."""
    host(site)
    with isolated() as model, model.open_session() as session:
        assert session.complete("Say").text == "Hello"
    (found,) = [each for each in discover().hosts if each.name == THERE]
    assert (found.plugin, found.distribution, found.host.version) == ("mill", "mill", "1.2")
    assert THERE not in headrace.backends()


def test_without_isolation_no_host_is_asked(site):
    """The model is loaded here."""
    host(site, "raise AssertionError('asked')")
    headrace.load_model("fake:Hello").close()


def test_a_host_that_is_not_there_is_named_with_what_to_install(site):
    """And what was found instead."""
    with pytest.raises(BackendNotFoundError, match=f"a host named '{THERE}'") as caught:
        isolated()
    assert "headrace-subprocess" in caught.value.hint


@pytest.mark.parametrize(
    ("load", "error", "message"),
    [
        ("raise ZeroDivisionError('no')", BackendError, "host 'process.*' with backend 'fake'"),
        ("raise SystemExit(3)", BackendError, r"failed to load .* it called sys\.exit\(3\)"),
        ("return None", BackendProtocolError, "host .* returned None, which is no model"),
        ("raise ModelFormatError('damaged')", ModelFormatError, "^damaged"),
    ],
)
def test_a_hosts_mistake_is_told_with_its_name(site, load, error, message):
    """A typed error; those of headrace pass as they are."""
    host(site, load)
    with pytest.raises(error, match=message):
        isolated()


def test_what_the_callers_progress_raises_is_not_blamed_on_the_host(site):
    """It comes out as it is; a cancel is a cancel."""
    host(site)

    def fail(fraction):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        isolated(progress=fail)
    with pytest.raises(ModelLoadCancelledError):
        isolated(progress=lambda fraction: False)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("raise ZeroDivisionError('no')", "host 'process.*' raised ZeroDivisionError"),
        ("return 3", "host 'process.*' broke the protocol in open_checker: 3 instead of a Checker"),
    ],
)
def test_a_host_that_gives_no_checker_is_named(site, check, message):
    """Nothing of the file is looked at here instead."""
    host(site, check=check)
    with pytest.raises(BackendProtocolError, match=message):
        headrace.check_model("fake:Hello")


def test_a_host_need_not_check_files(site):
    """The error says what to install."""
    host(site, registered="type('Plain', (), {n: getattr(Mill, n) for n in "
    "('name', 'protocol_version', 'version', 'load')})()")  # fmt: skip
    isolated().close()
    with pytest.raises(BackendNotFoundError, match="check_model needs") as caught:
        headrace.check_model("fake:Hello")
    assert "headrace-subprocess" in caught.value.hint


@pytest.mark.parametrize(
    ("registered", "reason"),
    [
        ("3", "int has no 'protocol_version'"),
        ("Mill", "Mill is a class, not a host"),
        ("type('Old', (Mill,), {'protocol_version': 99})()", "written for protocol version 99"),
        ("type('Odd', (Mill,), {'name': 'A B'})()", r"Odd.name must be lower-case"),
        ("type('Odd', (Mill,), {'version': 3})()", "Odd.version must be a string"),
        ("type('Odd', (Mill,), {'load': None})()", "Odd.load must be a method"),
        ("type('Odd', (Mill,), {'name': property(lambda s: 1 / 0)})()", "raises ZeroDivisionError"),
    ],
)
def test_what_is_no_host_is_quarantined(site, registered, reason):
    """Backends and hosts of other plugins are not touched."""
    host(site, registered=registered)
    host(site, plugin="other")
    found = discover()
    assert reason in only_quarantined(found, "mill").reason
    assert [each.plugin for each in found.hosts if each.name == THERE] == ["other"]
    assert "fake" in headrace.backends()


def test_a_name_belongs_to_the_plugin_that_is_called_so(site):
    """As backends' names do; a backend of the same name takes nothing from a host."""
    host(site, plugin="a_first")
    host(site, plugin=THERE)
    site.install_backend(THERE, distribution="third")
    found = discover()
    (entry,) = [each for each in found.hosts if each.name == THERE]
    assert entry.plugin == THERE
    assert entry.distribution == THERE
    assert "second host named" in only_quarantined(found, "a_first").reason
    assert found.find(THERE) is not None


@pytest.mark.parametrize("name", [THERE, "mill"])
def test_a_host_that_is_asked_for_as_a_backend_says_how(site, name):
    """By its own name or its plugin's."""
    host(site)
    with pytest.raises(BackendNotFoundError, match=f"no backend '{name}'") as caught:
        headrace.load_model("fake:Hello", backend=name)
    assert f"isolation={THERE!r}" in caught.value.hint
