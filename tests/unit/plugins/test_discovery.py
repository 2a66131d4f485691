"""Discovery: what is found, what is quarantined, and that neither hides the other."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headrace.backend.plugins import Discovery, Quarantined, discover
from headrace.errors import BackendProtocolError, BackendUnavailableError

BROKEN_IMPORT = "import a_module_that_does_not_exist\n"
NO_HOOK = "answer = 42\n"
HOOK_RAISES = """
    from headrace.protocols import hookimpl

    @hookimpl
    def headrace_register_backends(register):
        raise ZeroDivisionError("in the hook")
"""
UNKNOWN_ARGUMENT = """
    from headrace.protocols import hookimpl

    @hookimpl
    def headrace_register_backends(register, surprise):
        pass
"""
UNKNOWN_HOOK = """
    from headrace.protocols import hookimpl

    @hookimpl
    def headrace_register_backends(register):
        pass

    @hookimpl
    def headrace_from_the_future(register):
        pass
"""
EXITS = "raise SystemExit(3)\n"


def names(found: Discovery) -> list[str]:
    """Names of the usable backends."""
    return [each.name for each in found.backends]


def only_quarantined(found: Discovery, plugin: str) -> Quarantined:
    """The quarantine entry of a plugin, which must be the only one."""
    (entry,) = [each for each in found.quarantine if each.plugin == plugin]
    return entry


def backend_with(**changes: str) -> str:
    """Source of a plugin whose backend has some attributes replaced by expressions."""
    lines = "\n".join(f"        {name} = {value}" for name, value in changes.items())
    return f"""
    from headrace.protocols import hookimpl

    class Backend:
        name = "odd"
        protocol_version = 2
        version = "1"
        can_load = load = lambda self, what: None
        capabilities = lambda self: frozenset()
{lines}

    @hookimpl
    def headrace_register_backends(register):
        register(Backend())
    """


def test_an_installed_plugin_is_found_with_its_distribution(site):
    """The entry point's distribution travels with the backend."""
    site.install_backend("mill")
    (found,) = [each for each in discover().backends if each.name == "mill"]
    assert (found.plugin, found.distribution, found.distribution_version) == (
        "mill",
        "headrace-mill",
        "1.0",
    )
    assert found.backend.version == "3.2.1"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (BROKEN_IMPORT, "cannot be imported: ModuleNotFoundError"),
        ("def broken(:\n", "failed: SyntaxError"),
        (EXITS, "failed: it called sys.exit(3)"),
        (NO_HOOK, "implements no hook"),
        (HOOK_RAISES, "failed: ZeroDivisionError: in the hook"),
        (UNKNOWN_ARGUMENT, "surprise"),
        (UNKNOWN_HOOK, "unknown hook 'headrace_from_the_future'"),
        (backend_with(protocol_version="3"), "protocol version 3, this headrace speaks version 2"),
        (backend_with(name="'Upper Case'"), "name must be lower-case"),
        (backend_with(name="None"), "name must be lower-case"),
        (backend_with(version="1.0"), "version must be a string"),
        (backend_with(load="None"), "load must be a method"),
        (backend_with(capabilities="lambda self: ['all']"), "must return a set of Capability"),
        (backend_with(capabilities="lambda self: 1 / 0"), "ZeroDivisionError"),
        (backend_with(name="property(lambda self: 1 / 0)"), "ZeroDivisionError"),
        (backend_with().replace("Backend())", "Backend)"), "is a class, not a backend"),
        (backend_with().replace("Backend())", "object())"), "has no 'protocol_version'"),
    ],
)
def test_a_broken_plugin_is_quarantined_and_hides_no_other(site, source, reason):
    """Whatever a plugin does wrong, the reason is kept and the others work."""
    site.install("broken", source, version="0.7")
    site.install_backend("mill")
    found = discover()
    entry = only_quarantined(found, "broken")
    assert reason in entry.reason
    assert (entry.distribution, entry.distribution_version) == ("broken", "0.7")
    assert entry.traceback.startswith("Traceback")
    assert "mill" in names(found)


def test_the_traceback_of_a_broken_plugin_shows_its_own_line(site):
    """What the plugin's author needs is in the quarantine."""
    site.install("broken", BROKEN_IMPORT)
    assert "import a_module_that_does_not_exist" in only_quarantined(discover(), "broken").traceback


def test_the_second_backend_of_a_name_is_quarantined(site):
    """The first one, by the distribution's name, stays in use; the reason names it."""
    site.install_backend("mill", distribution="zz-later")
    site.install_backend("mill", distribution="aa-first")
    found = discover()
    assert [each.distribution for each in found.backends if each.name == "mill"] == ["aa-first"]
    (entry,) = [each for each in found.quarantine if each.distribution == "zz-later"]
    assert "second backend named 'mill'; the one of aa-first is used" in entry.reason


def test_one_bad_backend_does_not_take_its_plugins_good_one_along(site):
    """Backends of one plugin are judged one by one."""
    source = backend_with(name="'good'").replace(
        "register(Backend())", "register(object()); register(Backend())"
    )
    site.install("two", source)
    found = discover()
    assert "good" in names(found)
    assert "has no" in only_quarantined(found, "two").reason


def test_an_entry_point_that_names_a_missing_attribute_is_quarantined(site):
    """``module:attribute`` with a wrong attribute is a broken plugin like any other."""
    site.install("gone", NO_HOOK)
    info = next(site.folder.glob("gone-*.dist-info")) / "entry_points.txt"
    info.write_text(info.read_text().strip() + ":missing\n")
    assert "AttributeError" in only_quarantined(discover(), "gone").reason


@pytest.mark.parametrize("selection", ["mill", " mill ,", "headrace-mill", "Headrace_Mill"])
def test_a_selection_imports_only_what_it_names(site, monkeypatch, selection):
    """Plugins are named by entry point or by distribution."""
    site.install_backend("mill")
    site.install("broken", BROKEN_IMPORT)
    monkeypatch.setenv("HEADRACE_PLUGINS", selection)
    found = discover()
    assert names(found) == ["mill"]
    assert not found.quarantine


def test_an_empty_selection_turns_every_plugin_off(site, monkeypatch):
    """Set but empty is not the same as unset."""
    site.install_backend("mill")
    monkeypatch.setenv("HEADRACE_PLUGINS", "")
    found = discover()
    assert (found.backends, found.quarantine, found.observers) == ((), (), ())
    assert {each.distribution for each in found.resolvers} == {"headrace"}


def test_an_unknown_name_in_the_selection_is_told(site, monkeypatch):
    """A typing error does not pass for a working selection."""
    site.install_backend("mill")
    monkeypatch.setenv("HEADRACE_PLUGINS", "mill,mlil")
    found = discover()
    assert names(found) == ["mill"]
    entry = only_quarantined(found, "mlil")
    assert "HEADRACE_PLUGINS names 'mlil', but no such plugin is installed" in entry.reason
    assert "mill" in entry.reason
    assert entry.distribution is None


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (BROKEN_IMPORT, BackendUnavailableError),
        (HOOK_RAISES, BackendProtocolError),
        (backend_with(protocol_version="0"), BackendProtocolError),
    ],
)
def test_strict_mode_raises_instead_of_quarantining(site, monkeypatch, source, error):
    """The cause stays attached."""
    site.install("broken", source)
    monkeypatch.setenv("HEADRACE_STRICT_PLUGINS", "1")
    with pytest.raises(error) as caught:
        discover()
    assert source is not BROKEN_IMPORT or isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_strict_mode_can_be_switched_off_by_zero(site, monkeypatch):
    """``0`` means no."""
    site.install("broken", BROKEN_IMPORT)
    monkeypatch.setenv("HEADRACE_STRICT_PLUGINS", "0")
    assert only_quarantined(discover(), "broken")


def test_a_plugin_installed_later_is_found_by_a_refresh(site):
    """The answer is kept until someone asks to look again."""
    assert "mill" not in names(discover())
    site.install_backend("mill")
    assert "mill" not in names(discover())
    assert "mill" in names(discover(refresh=True))


def test_damaged_metadata_hides_no_other_plugin(site):
    """A distribution without a name still does not break the walk."""
    site.install_backend("mill")
    site.install_backend("odd")
    (next(site.folder.glob("headrace_odd-*.dist-info")) / "METADATA").unlink()
    assert "mill" in names(discover())


def test_discovery_imports_no_engine():
    """Looking for plugins, the fake's included, is cheap and loads nothing to run models with."""
    code = (
        "import sys; from headrace.backend.plugins import discover; print(discover().backends);\n"
    )
    code += "sys.exit([m for m in sys.modules if m.startswith('headrace.engine')] != [])"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
