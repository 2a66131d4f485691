"""``load_model``: how a backend is chosen, and what becomes of its failures."""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import signal
import sys
import textwrap
import threading
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from headrace.backend.plugins import discover
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
from headrace.loading.choose import backends
from headrace.loading.load import aload_model, load_model
from headrace.params import EngineParams, ModelParams
from headrace.protocols import Model
from tests.unit.plugins.conftest import GOOD_BACKEND


class Stub(Model):
    """A model with nothing behind it."""

    def __init__(self):
        super().__init__(None, frozenset())

    def _open(self, params):
        """Opens none."""


class Probe:
    """A backend that remembers its request, and does what it was told to."""

    name = "probe"
    protocol_version = 2
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


class Panic(BaseException):
    """As a panic of a Rust extension arrives: no ``Exception``, raised by no line of Python."""


Panic.__module__ = "pyo3_runtime"


def panic(*what):
    """Raise one from native code."""
    ctypes.pythonapi.PyErr_SetString(ctypes.py_object(Panic), b"index out of bounds")


def test_ctrl_c_during_a_load_is_ctrl_c():
    """It is the user's."""
    with pytest.raises(KeyboardInterrupt):
        load_model("x", backend=raising(KeyboardInterrupt()))


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (panic, "Panic: index out of bounds"),
        (lambda request: sys.exit("no licence"), r"it called sys\.exit\('no licence'\)"),
        (lambda request: (_ for _ in ()).throw(GeneratorExit), "GeneratorExit"),
    ],
)
def test_what_is_no_exception_is_wrapped_too(act, told):
    """A backend does not end the program that uses it."""
    with pytest.raises(BackendError, match=f"'probe' failed to load 'x': {told}") as caught:
        load_model("x", backend=Probe(act))
    assert caught.value.__cause__ is not None


def test_a_signal_handler_may_end_the_program_during_a_load():
    """Servers do so for SIGTERM."""

    def act(request):
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))
    try:
        with pytest.raises(SystemExit):
            load_model("x", backend=Probe(act))
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, Panic, GeneratorExit])
def test_what_the_progress_function_raises_passes_whatever_it_is(error):
    """A task's cancellation is no ``Exception`` either."""

    def progress(fraction):
        raise error("mine")

    with pytest.raises(error, match="mine"):
        load_model("x", backend=Probe(lambda request: request.progress(0.5)), progress=progress)


@pytest.mark.parametrize("act", ["panic()", "sys.exit(3)", "1 / 0"])
def test_a_can_load_that_fails_in_any_way_hides_no_other_backend(site, monkeypatch, act):
    """And is told in one line when no other claims the reference."""
    site.install_backend("mill")
    monkeypatch.setitem(sys.modules, "headrace_test_panic", panic)
    source = "__import__('sys').modules['headrace_test_panic']" if "panic" in act else "sys"
    site.install_backend(
        "wild", can_load=act.replace("sys", "__import__('sys')").replace("panic", source)
    )
    with pytest.raises(BackendError, match="'mill' failed to load"):
        load_model("mill:x")
    with pytest.raises(BackendNotFoundError, match=r"failed when asked: wild: \w"):
        load_model(__file__)


def test_ctrl_c_while_backends_are_asked_is_ctrl_c(site):
    """It is nobody's failure."""
    site.install_backend("mill", can_load="__import__('signal').raise_signal(2)")
    with pytest.raises(KeyboardInterrupt):
        load_model("x")


def test_a_can_load_that_blocks_is_named(site, told):
    """And heard when it is done."""
    site.install_backend(
        "mill", can_load="__import__('sys').modules['headrace_test_told'].event.wait(30)"
    )
    with pytest.raises(BackendError, match="'mill' failed to load"):
        load_model("mill:x")
    assert "waiting for backend 'mill' to say whether it can load 'mill:x'" in told.messages[0]
    assert "--backend" in told.messages[0]


def test_messages_that_list_failures_are_cut(site, tmp_path):
    """A page of each would hide the others; the traceback has all of it."""
    for number in range(8):
        site.install(f"broken-{number}", f"raise OSError('x\\n' * 5000 + '{number}')")
    site.install_backend("mill", can_load="[][len('y' * 3000):] or open('y' * 3000)")
    (tmp_path / "model").write_text("hello")
    with pytest.raises(BackendNotFoundError) as caught:
        load_model(tmp_path / "model")
    message = caught.value.message
    assert "\n" not in message
    assert len(message) < 3000
    assert "broken-0: " in message
    assert "and 3 more" in message
    assert "broken-7" not in message
    assert all(len(each.reason) < 500 for each in discover().quarantine)
    assert all(len(each.traceback) > 10_000 for each in discover().quarantine)


def test_what_was_put_right_since_the_last_look_is_used(site):
    """By reference, as by name: a notebook need not be restarted."""
    site.install("headrace-mill", "raise MemoryError", plugin="mill")
    with pytest.raises(ModelNotFoundError):
        load_model("mill:x")
    source = GOOD_BACKEND.format(name="mill", claims="mill:", can_load="True", protocol_version="2")
    (site.folder / f"{site.modules[0]}.py").write_text(textwrap.dedent(source))
    importlib.invalidate_caches()
    with pytest.raises(BackendError, match="'mill' failed to load"):
        load_model("mill:x")


@pytest.mark.parametrize("selection", ["fake", ""])
def test_a_selection_that_leaves_the_backend_out_is_mentioned(site, monkeypatch, selection):
    """It is easily forgotten, and says ``pip install`` otherwise."""
    site.install_backend("mill")
    monkeypatch.setenv("HEADRACE_PLUGINS", selection)
    with pytest.raises(BackendNotFoundError, match=f"HEADRACE_PLUGINS selects '{selection}'"):
        load_model("x", backend="mill")
    with pytest.raises(BackendNotFoundError, match=f"HEADRACE_PLUGINS selects '{selection}'"):
        load_model(__file__)


def test_a_model_that_nobody_waits_for_may_fail_to_close(caplog):
    """Its load was cancelled; nobody hears of it but the log."""

    class Stuck(Stub):
        def close(self):
            raise OSError("stuck")

    async def cancelled():
        closing = threading.Event()

        def act(request):
            anyio.from_thread.run_sync(scope.cancel)
            assert closing.wait(30)
            return Stuck()

        with anyio.CancelScope() as scope:
            try:
                await aload_model("x", backend=Probe(act))
            finally:
                closing.set()

    with caplog.at_level(logging.ERROR, "headrace.loading"):
        anyio.run(cancelled)
        for thread in threading.enumerate():
            if thread.name.startswith("AnyIO"):
                thread.join(30)
    assert "could not be closed" in caplog.text


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
