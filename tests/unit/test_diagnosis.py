"""``headrace.diagnose``: it finds what is broken, says what to do, and stops at nothing."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

import headrace
from headrace import BackendDiagnosis, DiagnosisFinding
from headrace.backend.plugins import Discovery, InstalledBackend, Quarantined
from headrace.inspection import diagnose
from headrace_fake import FakeBackend


class Sick(FakeBackend):
    """A backend whose every answer about itself fails."""

    name = "sick"

    def diagnose(self):
        """Raises something that nobody expects."""
        raise ZeroDivisionError("in diagnose")

    def build(self):
        """Too."""
        raise OSError("in build")

    def devices(self):
        """Too."""
        raise headrace.BackendUnavailableError("no driver", hint="Install one.")


@pytest.fixture
def installed(monkeypatch):
    """Has discovery find these backends and this quarantine."""
    for variable in ("HEADRACE_BACKEND", "HEADRACE_PLUGINS", "HEADRACE_STRICT_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)

    def install(*backends, quarantine=()):
        entries = tuple(
            InstalledBackend(each.name, each.name, f"headrace-{each.name}", "1.0", each)
            for each in backends
        )
        found = Discovery(entries, tuple(quarantine))
        monkeypatch.setattr("headrace.backend.plugins.discover", lambda *, refresh=False: found)

    install(FakeBackend())
    return install


def only(found, about: str) -> DiagnosisFinding:
    """The finding about something, which must be the only one."""
    (finding,) = [each for each in found.findings if about in each.about]
    return finding


def test_a_sound_installation_has_no_findings_and_was_tried(installed, tmp_path, monkeypatch):
    """The fake streams a text and is cancelled."""
    monkeypatch.setenv("HEADRACE_CACHE_DIR", str(tmp_path))
    found = headrace.diagnose()
    assert found.ok
    assert found.findings == ()
    (test,) = found.self_tests
    assert test.passed
    assert "4 tokens read, a stream cancelled" in test.told
    assert [each.name for each in found.devices] == ["FAKE"]
    assert found.distributions["headrace"] == headrace.__version__
    assert "headrace-fake" in found.distributions
    assert found.cpus >= 1


def test_a_backend_that_fails_in_every_way_hides_no_other(installed):
    """Each failure is a finding with its remedy and its traceback."""
    installed(Sick(), FakeBackend())
    found = headrace.diagnose()
    assert not found.ok
    assert "ZeroDivisionError: in diagnose" in only(found, "backend sick").message
    assert "in diagnose" in only(found, "backend sick").traceback
    assert only(found, "devices of sick").remedy == "Install one."
    assert [each.name for each in found.backends] == ["sick", "fake"]
    assert found.backends[0].library.startswith("none: backend 'sick' raised OSError in build")
    assert [each.passed for each in found.self_tests] == [True]


def test_a_can_load_that_raises_is_broken(installed):
    """Every load that names no backend asks it."""

    class Odd(FakeBackend):
        name = "odd"

        def can_load(self, reference):
            raise SystemExit(f"about {reference}")

    installed(Odd(), FakeBackend())
    found = headrace.diagnose(self_test=False)
    finding = only(found, "can_load of backend odd")
    assert "it called sys.exit('about headrace-doctor" in finding.message
    assert "in can_load" in finding.traceback
    assert not found.ok


def test_a_can_load_that_blocks_is_broken_and_asked_no_more(installed, monkeypatch, tmp_path):
    """The model that is to be tried would have to ask it; the fake is tried by its name."""
    gate = threading.Event()

    class Odd(FakeBackend):
        name = "odd"

        def can_load(self, reference):
            return gate.wait(60)

    monkeypatch.setattr(diagnose, "ANSWER", 0.2)
    installed(Odd(), FakeBackend())
    try:
        found = headrace.diagnose()
        finding = only(found, "can_load of backend odd")
        assert "no answer within 0.2 s" in finding.message
        assert "(headrace-odd 1.0)" in finding.remedy
        assert "in can_load" in finding.traceback
        assert [each.passed for each in found.self_tests] == [True, True]
        (tried,) = headrace.diagnose(model="fake:x").self_tests
        assert not tried.passed
        assert "odd would be asked" in tried.told
    finally:
        gate.set()


@pytest.mark.parametrize("name", ["diagnose", "build", "devices"])
@pytest.mark.parametrize("how", ["exits", "is no method", "answers something else"])
def test_whatever_a_backend_says_of_itself_ends_no_diagnosis(installed, name, how):
    """The exits of a backend, and what makes no sense."""

    def exits(self):
        raise SystemExit(3)

    values = {"exits": exits, "is no method": property(exits)}
    odd = values.get(
        how, lambda self: [3] if name != "diagnose" else BackendDiagnosis(findings=(3,))
    )
    installed(type("Odd", (FakeBackend,), {"name": "odd", name: odd})(), FakeBackend())
    found = headrace.diagnose(self_test=False)
    assert [each.name for each in found.backends] == ["odd", "fake"]
    assert [each.name for each in found.devices if each.backend == "fake"]
    if name == "build":
        assert found.backends[0].library.startswith(("none: backend 'odd' raised", "[3]"))
    else:
        assert not found.ok


def test_no_backend_is_told_with_what_to_install(installed):
    """Everything else is there."""
    installed()
    found = headrace.diagnose()
    assert "pip install headrace-llamacpp" in only(found, "backends").remedy
    assert (found.backends, found.self_tests) == ((), ())
    assert found.distributions["headrace"] == headrace.__version__


def test_a_quarantined_plugin_is_broken(installed):
    """With its traceback."""
    error = headrace.BackendProtocolError("it lacks a name", hint="Give it one.")
    entry = Quarantined("odd", "headrace-odd", "0.3", error, "Traceback: its own line")
    installed(FakeBackend(), quarantine=[entry])
    finding = only(headrace.diagnose(), "plugin odd")
    assert finding.about == "plugin odd (headrace-odd 0.3)"
    assert (finding.message, finding.remedy) == ("it lacks a name", "Give it one.")
    assert finding.traceback == "Traceback: its own line"


def test_strict_mode_does_not_end_a_diagnosis(monkeypatch):
    """What it raises is a finding."""

    def strict(*, refresh=False):
        raise headrace.BackendProtocolError("plugin 'odd' failed")

    monkeypatch.setattr("headrace.backend.plugins.discover", strict)
    assert only(headrace.diagnose(self_test=False), "plugins").message == "plugin 'odd' failed"


def test_what_a_backend_finds_out_itself_is_told(installed):
    """And what it consists of and heeds is looked up."""

    class Careful(FakeBackend):
        def diagnose(self):
            finding = DiagnosisFinding(
                severity="warning", about="fan", message="loud", remedy="Clean it."
            )
            return BackendDiagnosis(
                distributions=("pytest",), environment=("MILL_WHEELS",), findings=(finding,)
            )

    installed(Careful())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILL_WHEELS", "2")
        found = headrace.diagnose()
    assert only(found, "fan").remedy == "Clean it."
    assert found.ok
    assert found.environment["MILL_WHEELS"] == "2"
    assert "pytest" in found.distributions
    assert found.self_tests == ()


@pytest.mark.parametrize("model", ["/no/such/model.gguf", "fake:#fault_at=0&fault=memory"])
def test_a_model_that_fails_is_a_failed_self_test(installed, model):
    """And a finding."""
    found = headrace.diagnose(model=model)
    (test,) = found.self_tests
    assert not test.passed
    assert only(found, "self-test").severity == "broken"
    assert not found.ok


def test_a_self_test_notices_a_backend_that_cannot_be_cancelled(installed, monkeypatch):
    """It asserts what it says."""
    monkeypatch.setattr(headrace.TokenStream, "cancel", lambda self: None)
    assert "still running" in only(headrace.diagnose(), "self-test").message


def test_nothing_is_loaded_if_not_wanted(installed):
    """Not even the fake."""
    assert headrace.diagnose(self_test=False).self_tests == ()


def test_a_variable_that_names_no_backend_is_broken(installed, monkeypatch):
    """It is easily forgotten."""
    monkeypatch.setenv("HEADRACE_BACKEND", "gone")
    assert "'gone'" in only(headrace.diagnose(self_test=False), "HEADRACE_BACKEND").message


def test_a_cache_that_cannot_be_a_folder_is_a_warning(installed, monkeypatch, tmp_path):
    """Nothing else depends on it."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("HEADRACE_CACHE_DIR", str(tmp_path / "file"))
    found = headrace.diagnose(self_test=False)
    assert only(found, "cache").severity == "warning"
    assert found.ok


def test_an_observer_that_raised_is_a_warning(installed):
    """With the traceback."""

    class Raises:
        def generation_started(self, event):
            raise RuntimeError("its own")

    with headrace.observe(Raises()):
        headrace.diagnose()
        finding = only(headrace.diagnose(), "observer")
    assert "its own" in finding.traceback


def test_secrets_are_not_shown(installed, monkeypatch):
    """Neither tokens nor passwords in addresses, nor in the JSON."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HEADRACE_API_KEY", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "http://me:hf_secret@127.0.0.1:1/")
    found = headrace.diagnose(self_test=False)
    assert found.environment["HF_TOKEN"] == "(set, not shown)"
    assert found.environment["HF_ENDPOINT"] == "http://…@127.0.0.1:1/"
    assert "hf_secret" not in json.dumps(found.as_dict())


def test_the_home_folder_is_not_shown(installed, monkeypatch, tmp_path):
    """In paths, messages and tracebacks."""
    home = tmp_path / "somebody"
    (home / "cache" / "models").mkdir(parents=True)
    (home / "cache" / "models" / "x").write_bytes(b"12345")
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setenv("HEADRACE_CACHE_DIR", str(home / "cache"))
    found = headrace.diagnose(model=str(home / "model.gguf"))
    values = found.as_dict()
    assert "somebody" not in json.dumps(values)
    assert {"path": "~/cache/models", "files": 1, "size": 5} in values["caches"]
    assert "~/model.gguf" in values["findings"][0]["message"]


def test_the_worst_comes_first(installed, monkeypatch, tmp_path):
    """Before warnings."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("HEADRACE_CACHE_DIR", str(tmp_path / "file"))
    found = headrace.diagnose(model="/no/such/model.gguf")
    assert [each.severity for each in found.findings] == ["broken", "warning"]


def test_the_module_of_the_values_knows_no_backend():
    """Nothing is special-cased by name."""
    for name in ("fake", "llamacpp", "subprocess"):
        assert name not in Path(diagnose.__file__).read_text().replace("INSTALL_HINT", "")
