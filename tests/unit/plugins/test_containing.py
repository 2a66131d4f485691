"""Whatever a plugin raises is its own affair; whatever the caller's thread is told passes."""

from __future__ import annotations

import signal
import sys
import textwrap
import threading

import pytest

import headrace
from headrace.backend.plugins import discover, validate_backend
from headrace.errors import BackendProtocolError
from tests.unit.plugins.test_discovery import backend_with, names, only_quarantined

PANIC = """
    class PanicException(BaseException):
        '''As Rust's panics arrive in Python.'''

    PanicException.__module__ = "pyo3_runtime"

    def panic(*what):
        raise PanicException("index out of bounds")
"""
PLACES = {
    "at import": PANIC + "    panic()\n",
    "in a hook": PANIC + backend_with().replace("register(Backend())", "panic()"),
    "in its name": PANIC + backend_with(name="property(panic)"),
    "in its version": PANIC + backend_with(version="property(panic)"),
    "in its protocol version": PANIC + backend_with(protocol_version="property(panic)"),
    "in a method's place": PANIC + backend_with(can_load="property(panic)"),
    "in capabilities": PANIC + backend_with(capabilities="panic"),
    "in an observer": PANIC
    + """
    from headrace.protocols import hookimpl

    class Observer:
        generation_started = property(panic)

    @hookimpl
    def headrace_register_observers(register):
        register(Observer())
    """,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_panic_is_quarantined(site, place):
    """Though it is no ``Exception``; the others work."""
    site.install("broken", PLACES[place])
    site.install_backend("mill")
    found = discover()
    entry = only_quarantined(found, "broken")
    assert "PanicException: index out of bounds" in entry.reason
    assert "in panic" in entry.traceback
    assert "mill" in names(found)


@pytest.mark.parametrize(
    "source",
    [
        "raise SystemExit(3)",
        "raise GeneratorExit",
        "import asyncio\nraise asyncio.CancelledError",
        "raise StopIteration",
        "class Mute(Exception):\n    def __str__(self):\n        raise OSError\nraise Mute",
        "class Mute(BaseException):\n    __str__ = __repr__ = None\nraise Mute",
        "raise ExceptionGroup('two', [OSError(1), KeyError(2)])"
        if sys.version_info >= (3, 11)
        else "raise OSError",
        "def deeper():\n    deeper()\ndeeper()",
        "raise MemoryError",
        "import headrace\nheadrace.backends()",
        "import headrace\nheadrace.load_model('fake:')",
    ],
)
def test_whatever_an_import_raises_is_quarantined(site, source):
    """Even what has no text, and what asks for plugins again."""
    site.install("broken", source)
    site.install_backend("mill")
    found = discover()
    assert "Traceback" in only_quarantined(found, "broken").traceback
    assert "mill" in names(found)


def test_a_hook_that_asks_for_plugins_is_told_why_not(site):
    """It would be asked again without end."""
    source = backend_with().replace("register(Backend())", "import headrace; headrace.backends()")
    site.install("broken", source)
    entry = only_quarantined(discover(), "broken")
    assert "plugins are being looked for in this thread" in entry.reason
    assert "RecursionError" not in entry.traceback


INTERRUPTED = """
    import os, signal

    if "MILL_SIGNAL" in os.environ:
        signal.raise_signal(getattr(signal, os.environ["MILL_SIGNAL"]))
"""


class SoftTimeLimit(Exception):
    """What task queues raise in the thread that works."""


@pytest.mark.parametrize("group", ["an import", "a hook"])
@pytest.mark.parametrize(
    ("name", "handler", "error"),
    [
        ("SIGINT", signal.default_int_handler, KeyboardInterrupt),
        ("SIGALRM", SoftTimeLimit, SoftTimeLimit),
        ("SIGTERM", sys.exit, SystemExit),
    ],
)
def test_what_the_user_and_signal_handlers_raise_passes(
    site, monkeypatch, group, name, handler, error
):
    """Out of the call, as it is; no plugin is blamed for it, and the next call works."""

    def handle(number, frame):
        if handler is signal.default_int_handler:
            handler(number, frame)
        raise error

    if group == "an import":
        site.install("innocent", INTERRUPTED + backend_with())
    else:
        body = backend_with().replace("register(Backend())", "raise_it(); register(Backend())")
        lines = INTERRUPTED.replace("\n    if", "\n    def raise_it():\n      if")
        site.install("innocent", lines.replace("        signal.", "          signal.") + body)
    monkeypatch.setenv("MILL_SIGNAL", name)
    before = signal.signal(getattr(signal, name), handle)
    try:
        with pytest.raises(error):
            discover()
    finally:
        signal.signal(getattr(signal, name), before)
    monkeypatch.delenv("MILL_SIGNAL")
    found = discover()
    assert found.quarantine == ()
    assert "odd" in names(found)


def with_little_stack(left: int, call):
    """Call something where only that many calls more fit on the stack."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1

    def deeper(n):
        return deeper(n - 1) if n else call()

    return deeper(sys.getrecursionlimit() - depth - left)


@pytest.mark.parametrize("left", [20, 50, 100, 200, 400])
def test_a_caller_whose_stack_is_at_its_end_is_told_so(site, left):
    """No plugin is quarantined for it, wherever in a discovery it ends."""
    deep = "def deeper(n):\n    return n and deeper(n - 1)\ndeeper(350)\n"
    site.install("deep", deep + textwrap.dedent(backend_with(name="'mill'")))
    try:
        found = with_little_stack(left, discover)
    except RecursionError:
        found = discover()
    assert found.quarantine == ()
    assert "mill" in names(found)


@pytest.mark.parametrize("attribute", ["name", "version", "protocol_version", "can_load"])
def test_an_object_that_is_passed_is_checked_as_a_plugins_is(attribute):
    """``backend=…`` takes any object, and what that raises gets a name."""

    class Odd:
        name, version, protocol_version = "odd", "1", 2
        can_load = load = capabilities = lambda self: None

    setattr(Odd, attribute, property(lambda self: 1 / 0))
    with pytest.raises(BackendProtocolError, match=rf"Odd\.{attribute} raises ZeroDivisionError"):
        headrace.load_model("x", backend=Odd())


def test_a_value_that_cannot_be_shown_is_named_all_the_same():
    """Its ``repr`` raises, or is a page long."""

    class Odd:
        version, protocol_version = "1", 2

        class Mute:
            def __repr__(self):
                raise OSError

        name = Mute()

    with pytest.raises(BackendProtocolError, match="<Mute whose repr raises OSError>"):
        validate_backend(Odd())
    Odd.name = "x" * 10_000
    Odd.version = ["x" * 10_000]
    with pytest.raises(BackendProtocolError) as caught:
        validate_backend(Odd())
    assert len(caught.value.message) < 300


def test_a_coroutine_is_no_method():
    """``can_load`` would be true for everything."""

    class Odd:
        name, version, protocol_version = "odd", "1", 2
        load = capabilities = lambda self: None

        async def can_load(self, reference):
            return False

    with pytest.raises(BackendProtocolError, match=r"Odd\.can_load must be a method"):
        validate_backend(Odd())


def test_a_register_that_is_kept_is_no_way_in(site):
    """What it was given would be lost in silence."""
    source = backend_with().replace("register(Backend())", "kept.append(register)")
    site.install("late", source.replace("class Backend", "kept = []\n\n    class Backend", 1))
    discover()
    (register,) = sys.modules[site.modules[0]].kept
    with pytest.raises(headrace.UsageError, match="while its hook runs"):
        register(object())


@pytest.mark.parametrize("content", [b"[other]\nno equals sign\n", b"[other]\nmill = \xff\n"])
def test_a_damaged_distribution_hides_no_plugin(site, content):
    """It has nothing to do with headrace, and is not spoken of."""
    site.install_backend("mill")
    site.install("unrelated", "")
    (points,) = site.folder.glob("unrelated-*.dist-info/entry_points.txt")
    points.write_bytes(content)
    found = discover()
    assert {"mill", "fake"} <= set(names(found))
    assert found.quarantine == ()


def test_a_plugin_whose_entry_points_are_damaged_is_quarantined(site):
    """With what to do."""
    site.install_backend("mill")
    site.install("broken", "")
    (points,) = site.folder.glob("broken-*.dist-info/entry_points.txt")
    points.write_text("[headrace.backends]\nno equals sign\n")
    found = discover()
    entry = only_quarantined(found, "broken")
    assert "entry_points.txt cannot be read: TypeError" in entry.reason
    assert (entry.distribution, entry.distribution_version) == ("broken", "1.0")
    assert "mill" in names(found)


@pytest.mark.parametrize("value", ["", "a b", ":", "headrace_none_such", "headrace:none_such"])
def test_an_entry_point_that_leads_nowhere_is_quarantined(site, value):
    """And named, whatever stands there."""
    site.install("gone", "")
    (points,) = site.folder.glob("gone-*.dist-info/entry_points.txt")
    points.write_text(f"[headrace.backends]\ngone = {value}\n")
    reason = only_quarantined(discover(), "gone").reason
    assert "which is no module" in reason or "none_such" in reason


def test_an_import_that_lacks_a_name_of_headrace_may_be_of_another_version(site):
    """The likeliest reason is said."""
    site.install("old", "from headrace.protocols import Turbine\n")
    assert "written for another version of headrace" in only_quarantined(discover(), "old").reason


def test_threads_that_look_at_once_share_one_answer(site):
    """Each would have its own backends otherwise, and observers of their own."""
    gate = threading.Barrier(3, timeout=30)
    site.install("slow", backend_with().replace("register(Backend())", "gate.wait()"))
    sys.modules["headrace_test_gate"] = gate  # as anything that a plugin can import
    site.install("gate", "")
    module = site.folder / f"{site.modules[0]}.py"
    module.write_text(
        module.read_text() + "\nimport sys\ngate = sys.modules['headrace_test_gate']\n"
    )
    found = []
    threads = [threading.Thread(target=lambda: found.append(discover())) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        del sys.modules["headrace_test_gate"]
    assert len(found) == 3
    assert found[0] is found[1] is found[2] is discover()


def test_a_plugin_that_changes_the_path_is_looked_for_once(site):
    """Each call would be a discovery otherwise."""
    source = backend_with().replace(
        "register(Backend())", "sys.path.append('/mill'); register(Backend())"
    )
    site.install("moves", "    import sys\n" + source)
    assert discover() is discover()
