"""Observers that plugins bring."""

from __future__ import annotations

import sys

import headrace
from headrace.backend.plugins import discover
from headrace.streams import observers

OBSERVER = """
    from headrace.protocols import hookimpl

    events = []

    class Metrics:
        def generation_finished(self, event):
            {body}

    @hookimpl
    def headrace_register_observers(register):
        register(Metrics())
"""


def hello() -> str:
    """A generation on the fake."""
    with headrace.load_model("fake:Hello") as model, model.open_session() as session:
        return session.complete("x").text


def test_the_observers_of_plugins_are_told_of_every_generation(site, monkeypatch):
    """From the next load on, and no more when the plugin is gone."""
    site.install("metrics", OBSERVER.format(body="events.append(event)"))
    assert hello() == "Hello"
    events = sys.modules[site.modules[0]].events
    assert [each.backend for each in events] == ["fake"]
    monkeypatch.setenv("HEADRACE_PLUGINS", "fake")
    hello()
    assert len(events) == 1


def test_a_plugins_observer_that_raises_is_named_with_its_plugin(site, caplog, monkeypatch):
    """In the log and among the failures."""
    site.install("metrics", OBSERVER.format(body="raise ZeroDivisionError"))
    assert hello() == "Hello"
    assert hello() == "Hello"
    assert [each.name for each in observers.failed_observers()] == ["Metrics of plugin metrics"]
    assert (
        len([each for each in caplog.records if "Metrics of plugin metrics" in each.message]) == 1
    )
    monkeypatch.setenv("HEADRACE_PLUGINS", "fake")
    hello()
    assert observers.failed_observers() == ()


def test_what_cannot_observe_is_quarantined(site):
    """With the reason."""
    site.install(
        "metrics", OBSERVER.format(body="pass").replace("register(Metrics())", "register(3)")
    )
    (entry,) = [each for each in discover().quarantine if each.plugin == "metrics"]
    assert "int has none of the methods" in entry.reason
