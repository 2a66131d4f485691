"""``load_model``: how a backend is chosen, and what becomes of its failures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.bases import ModelBase
from headrace.errors import (
    BackendError,
    BackendNotFoundError,
    BackendProtocolError,
    BackendUnavailableError,
    ModelFormatError,
    ModelLoadCancelledError,
    ModelNotFoundError,
    ParamsError,
)
from headrace.loading import backends, load_model
from headrace.params import EngineParams, ModelParams


class Stub(ModelBase):
    """A model with nothing behind it."""

    info = None
    capabilities = frozenset()
    tokenize = detokenize = open_session = close = lambda self: None


class Probe:
    """A backend that remembers its request, and does what it was told to."""

    name = "probe"
    protocol_version = 1
    version = "1"

    def __init__(self, act=lambda request: Stub()):
        self.act = act
        self.request = None

    def can_load(self, reference):
        """Claims all."""
        return True

    def load(self, request):
        """Does what it was told to."""
        self.request = request
        return self.act(request)

    def capabilities(self):
        """None."""
        return frozenset()


def raising(error):
    """A backend whose load raises."""

    def act(request):
        raise error

    return Probe(act)


@pytest.fixture
def nothing_installed(site, monkeypatch):
    """No plugin at all."""
    monkeypatch.setenv("HEADRACE_PLUGINS", "")


def test_a_backend_object_gets_the_request(tmp_path):
    """Defaults are filled in; a path becomes a string."""
    probe = Probe()
    load_model(tmp_path / "m.gguf", backend=probe)
    assert probe.request.reference == str(tmp_path / "m.gguf")
    assert probe.request.params == ModelParams()
    assert probe.request.engine == EngineParams()
    assert probe.request.progress is None


def test_backends_tells_what_is_installed(site):
    """By name."""
    site.install_backend("mill")
    assert backends()["mill"].version == "3.2.1"


def test_a_name_picks_an_installed_backend(site):
    """Whatever ``can_load`` would say."""
    site.install_backend("mill", claims="never:")
    with pytest.raises(BackendError, match="'mill' failed to load 'x': NotImplementedError"):
        load_model("x", backend="mill")


def test_the_only_backend_that_claims_the_reference_is_used(site):
    """No name is needed."""
    site.install_backend("mill")
    site.install_backend("wheel")
    with pytest.raises(BackendError, match="'wheel' failed to load"):
        load_model("wheel:x")


def test_the_environment_names_the_backend(site, monkeypatch):
    """``HEADRACE_BACKEND`` stands in for ``backend=None`` only."""
    site.install_backend("mill")
    site.install_backend("wheel")
    monkeypatch.setenv("HEADRACE_BACKEND", "mill")
    with pytest.raises(BackendError, match="'mill' failed to load"):
        load_model("wheel:x")
    with pytest.raises(BackendError, match="'wheel' failed to load"):
        load_model("wheel:x", backend="wheel")


def test_two_claims_are_an_error_that_names_both(site):
    """The hint says how to choose."""
    site.install_backend("mill", claims="x:")
    site.install_backend("wheel", claims="x:")
    with pytest.raises(BackendNotFoundError, match="mill, wheel") as caught:
        load_model("x:y")
    assert "HEADRACE_BACKEND" in caught.value.hint


def test_with_no_backend_at_all_the_error_says_how_to_install_one(nothing_installed):
    """The first thing a newcomer may see."""
    with pytest.raises(BackendNotFoundError, match="pip install headrace-llamacpp"):
        load_model("model.gguf")


def test_a_quarantined_plugin_is_mentioned_when_nothing_can_load(site, monkeypatch):
    """The reason stands where the user looks for it."""
    site.install("broken", "import no_such_module_here")
    monkeypatch.setenv("HEADRACE_PLUGINS", "broken")
    with pytest.raises(BackendNotFoundError, match=r"quarantined: broken: .*no_such_module_here"):
        load_model("model.gguf")


def test_asking_for_a_quarantined_backend_says_why_it_is_not_usable(site):
    """It is there, and it cannot be used."""
    site.install("broken", "import no_such_module_here")
    with pytest.raises(BackendNotFoundError, match=r"installed but cannot be used.*no_such_module"):
        load_model("x", backend="broken")


def test_an_unknown_name_gets_a_suggestion(site):
    """A typing error is told from a missing installation."""
    site.install_backend("mill")
    with pytest.raises(BackendNotFoundError, match=r"no backend 'mil' .*Did you mean 'mill'"):
        load_model("x", backend="mil")
    with pytest.raises(BackendNotFoundError, match="pip install"):
        load_model("x", backend="entirely-different")


def test_a_backend_installed_meanwhile_is_found_by_name(site):
    """A notebook need not be restarted after ``pip install``."""
    assert "mill" not in backends()
    site.install_backend("mill")
    with pytest.raises(BackendError, match="'mill' failed to load"):
        load_model("x", backend="mill")


def test_a_missing_file_that_nobody_claims_is_not_found(site):
    """Even as a builtin ``FileNotFoundError``."""
    site.install_backend("mill")
    with pytest.raises(ModelNotFoundError, match=r"no model file at 'missing\.gguf'") as caught:
        load_model("missing.gguf")
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.mkdir(), "a directory"),
        (lambda path: path.touch(), "an empty file"),
        (lambda path: path.write_text("hello"), r"thing' \(installed"),
    ],
)
def test_a_file_that_nobody_claims_is_described(site, tmp_path, make, told):
    """The message says what is there instead of a model."""
    site.install_backend("mill")
    make(tmp_path / "thing")
    with pytest.raises(BackendNotFoundError, match=rf"{told}.*mill"):
        load_model(tmp_path / "thing")


def test_a_can_load_that_raises_hides_no_other_backend(site):
    """And is told when no other claims the reference."""
    site.install_backend("mill")
    site.install_backend("wild", can_load="1 / 0")
    with pytest.raises(BackendError, match="'mill' failed to load"):
        load_model("mill:x")
    with pytest.raises(BackendNotFoundError, match="wild: ZeroDivisionError"):
        load_model(__file__)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"reference": "a\0b"}, r"NUL character: 'a\\x00b'"),
        ({"reference": ""}, "empty"),
        ({"reference": 7}, "must be a string or a path, got 7"),
        ({"reference": "x", "params": {"vocab_only": True}}, "params must be ModelParams"),
        ({"reference": "x", "engine": ModelParams()}, "engine must be EngineParams"),
    ],
)
def test_wrong_arguments_are_named(arguments, told):
    """Before any backend is asked."""
    probe = Probe()
    with pytest.raises(ParamsError, match=told):
        load_model(**arguments, backend=probe)
    assert probe.request is None


@pytest.mark.parametrize("backend", [Probe, object(), 3])
def test_what_is_no_backend_is_refused(backend):
    """A class instead of an object, too."""
    with pytest.raises(BackendProtocolError):
        load_model("x", backend=backend)


def test_a_foreign_exception_is_wrapped_and_kept_as_the_cause():
    """The message names the backend, the model and what happened."""
    cause = KeyError("tensor")
    with pytest.raises(BackendError, match="'probe' failed to load 'x': KeyError") as caught:
        load_model("x", backend=raising(cause))
    assert caught.value.__cause__ is cause
    assert caught.value.backend == "probe"


def test_a_failed_import_makes_the_backend_unavailable():
    """Such as an extension that is not built."""
    with pytest.raises(BackendUnavailableError, match="no extension"):
        load_model("x", backend=raising(ImportError("no extension")))


def test_an_error_of_the_tree_passes_unchanged():
    """The backend knew what it said."""
    error = ModelFormatError("bad magic")
    with pytest.raises(ModelFormatError) as caught:
        load_model("x", backend=raising(error))
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_what_ends_the_program_is_not_wrapped(error):
    """Ctrl-C during a load is Ctrl-C."""
    with pytest.raises(type(error)):
        load_model("x", backend=raising(error))


def test_what_the_progress_function_raises_passes_unchanged():
    """The caller's own error is not the backend's fault."""

    def progress(fraction):
        raise ZeroDivisionError("mine")

    def act(request):
        request.progress(0.5)

    with pytest.raises(ZeroDivisionError, match="mine"):
        load_model("x", backend=Probe(act), progress=progress)


def test_the_progress_function_sees_the_fractions_and_its_answer_counts():
    """Returning False reaches the backend."""
    seen = []

    def act(request):
        if request.progress(0.25) is False:
            raise ModelLoadCancelledError("cancelled")
        return Stub()

    with pytest.raises(ModelLoadCancelledError):
        load_model("x", backend=Probe(act), progress=lambda part: seen.append(part) or False)
    assert seen == [0.25]


def test_a_load_that_returns_no_model_is_a_broken_protocol():
    """The mistake is found where it was made."""
    with pytest.raises(BackendProtocolError, match="returned 42, which is no model"):
        load_model("x", backend=Probe(lambda request: 42))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs file permissions")
def test_an_unreadable_folder_is_told(site, tmp_path):
    """Not reported as a missing file."""
    site.install_backend("mill")
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "model").touch()
    closed.chmod(0)
    with pytest.raises(BackendNotFoundError, match="this user may not read"):
        load_model(Path(closed / "model"))
