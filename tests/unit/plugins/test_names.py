"""Whose a name is: the plugin that is called so, wherever it stands in the order."""

from __future__ import annotations

import pytest

import headrace
from headrace.backend.plugins import discover
from headrace.errors import BackendProtocolError
from tests.unit.plugins.conftest import GOOD_BACKEND
from tests.unit.plugins.test_resolvers import RESOLVER


def backend(name: str) -> str:
    """Source of a plugin that brings a backend of that name."""
    return GOOD_BACKEND.format(name=name, claims=f"{name}:", can_load="False", protocol_version="2")


def owner(name: str) -> str | None:
    """The distribution whose backend has the name."""
    (found,) = [each for each in discover(refresh=True).backends if each.name == name]
    return found.distribution


@pytest.mark.parametrize("rightful", ["headrace-mill", "mm-mill"])
@pytest.mark.parametrize("intruder", ["aa-wild", "zz-wild"])
@pytest.mark.parametrize("first", ["mill", "wild"])
def test_the_plugin_that_is_called_so_has_the_name(site, rightful, intruder, first):
    """Before and after it in the alphabet, and in the order of installing."""
    plugins = {"mill": rightful, "wild": intruder}
    for plugin in sorted(plugins, reverse=first == "wild"):
        site.install(plugins[plugin], backend("mill"), plugin=plugin)
    assert owner("mill") == rightful
    (entry,) = [each for each in discover().quarantine if each.plugin == "wild"]
    assert f"plugin 'wild' of {intruder} brings a second backend named 'mill'" in entry.reason
    assert f"the one of {rightful} is used" in entry.reason
    assert "HEADRACE_PLUGINS" in entry.reason
    assert entry.error.backend == "mill"


def test_the_backends_of_this_repository_cannot_be_taken(site):
    """By a distribution that comes before them all."""
    site.install("aa-wild", backend("fake"), plugin="wild")
    assert owner("fake") == "headrace-fake"
    with headrace.load_model("fake:Hello") as model:
        assert model.info.backend == "fake"


def test_of_two_that_are_called_so_the_usual_distribution_has_the_name(site):
    """``headrace-NAME``, which is what ``headrace new-backend`` makes."""
    site.install("aa-copy", backend("mill"), plugin="mill")
    site.install("Headrace_Mill", backend("mill"), plugin="mill")
    site.install("zz-copy", backend("mill"), plugin="mill")
    assert owner("mill") == "Headrace_Mill"
    kept_out = [each.distribution for each in discover().quarantine]
    assert kept_out == ["aa-copy", "zz-copy"]


def test_whoever_is_left_has_the_name(site, monkeypatch):
    """A selection leaves the other out, and so does whatever else is wrong with it."""
    site.install("headrace-mill", "1 / 0", plugin="mill")
    site.install("aa-wild", backend("mill"), plugin="wild")
    assert owner("mill") == "aa-wild"
    monkeypatch.setenv("HEADRACE_PLUGINS", "aa-wild")
    assert owner("mill") == "aa-wild"
    assert discover().quarantine == ()


def test_a_scheme_is_its_plugins_too(site):
    """What headrace brings itself comes before all."""
    for plugin, distribution in (("wild", "aa-wild"), ("shelf", "headrace-shelf")):
        site.install(distribution, RESOLVER.format(scheme="shelf", body="pass"), plugin=plugin)
    site.install("bb-wild", RESOLVER.format(scheme="hf", body="pass"), plugin="hf")
    owners = {each.name: each.distribution for each in discover().resolvers}
    assert owners == {"pypi": "headrace", "hf": "headrace", "shelf": "headrace-shelf"}
    reasons = " ".join(each.reason for each in discover().quarantine)
    assert "second resolver named 'shelf'; the one of headrace-shelf is used" in reasons
    assert "second resolver named 'hf'; the one of headrace is used" in reasons


def test_observers_may_share_a_name(site):
    """It is that of a class, and nobody asks for it."""
    source = """
    from headrace.protocols import hookimpl

    class Metrics:
        def generation_started(self, event):
            pass

    @hookimpl
    def headrace_register_observers(register):
        register(Metrics())
    """
    site.install("one", source)
    site.install("other", source)
    assert [each.distribution for each in discover().observers] == ["one", "other"]


def test_a_plugin_that_brings_a_name_twice_keeps_the_first(site):
    """And is told."""
    source = backend("mill").replace("register(Backend())", "[register(Backend()) for _ in '12']")
    site.install("headrace-mill", source, plugin="mill")
    assert owner("mill") == "headrace-mill"
    (entry,) = discover().quarantine
    assert "second backend named 'mill'" in entry.reason


def test_a_plugin_in_both_groups_is_one_plugin(site):
    """No rival of itself."""
    site.install_backend("mill")
    (points,) = site.folder.glob("headrace_mill-*.dist-info/entry_points.txt")
    text = points.read_text()
    points.write_text(text + text.replace("headrace.backends", "headrace.plugins"))
    assert owner("mill") == "headrace-mill"
    assert discover().quarantine == ()


def test_strict_mode_raises_for_the_second(site, monkeypatch):
    """Not for the rightful one."""
    site.install_backend("mill")
    site.install("aa-wild", backend("mill"), plugin="wild")
    monkeypatch.setenv("HEADRACE_STRICT_PLUGINS", "1")
    with pytest.raises(BackendProtocolError, match="plugin 'wild' of aa-wild brings a second"):
        discover()
