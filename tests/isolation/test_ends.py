"""How processes end, what is said of it, and what is left of them: nothing."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import headrace
from headrace import (
    BackendCrashedError,
    BackendError,
    CheckLimits,
    IsolationParams,
    ModelParams,
    SamplingParams,
)
from headrace.loading.isolation import open_checker
from headrace_subprocess import process
from headrace_subprocess.deaths import describe
from headrace_subprocess.process import Ended

PROCESS = ModelParams(isolation="process")
GREEDY = SamplingParams(temperature=0.0)
LOAD = (
    "import headrace, os, signal, sys\n"
    "model = headrace.load_model('fake:Hello', params=headrace.ModelParams(isolation='process'))\n"
    "pid = model.client.worker.pid\n"
)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def _wait_until_reaped(pid):
    """Returns when there is not even a zombie of it."""
    tick = threading.Event()
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        tick.wait(0.01)


def _wait_for_end(pid):
    """Returns when it runs no more; whose child it was reaps it."""
    tick = threading.Event()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while _state(pid) != "Z":
            tick.wait(0.01)


def _state(pid):
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]


def _run(script, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        **options,
    )


# -- what is left ---------------------------------------------------------


@pytest.mark.parametrize("fate", ["lives", "is stopped", "has died"])
def test_a_model_that_is_dropped_leaves_no_process_and_no_zombie(fate):
    """However its child is at that moment, and nothing else is called."""
    model = headrace.load_model("fake:Hello", params=PROCESS)
    pid = model.client.worker.pid
    if fate == "is stopped":
        os.kill(pid, signal.SIGSTOP)
    elif fate == "has died":
        os.kill(pid, signal.SIGKILL)
        _wait_for_end(pid)
    del model
    gc.collect()
    _wait_until_reaped(pid)


def test_a_checker_that_is_dropped_leaves_no_zombie():
    """Nor one whose process died."""
    checker = open_checker(headrace.backends()["fake"], CheckLimits())
    checker.check("fake:a")
    pid = checker._worker.pid
    os.kill(pid, signal.SIGSTOP)
    del checker
    gc.collect()
    _wait_until_reaped(pid)


def test_one_that_died_unnoticed_is_reaped_by_the_next_start(load):
    """And its model still knows how it ended."""
    model = load()
    os.kill(model.client.worker.pid, signal.SIGSEGV)
    _wait_for_end(model.client.worker.pid)
    load()
    _wait_until_reaped(model.client.worker.pid)
    with pytest.raises(BackendCrashedError, match="SIGSEGV"):
        model.tokenize("a")


@linux
def test_models_that_come_and_go_leave_no_file_and_no_thread():
    """Closed, dropped, dead and interrupted ones."""

    def once():
        for fate in ("close", "drop", "die"):
            model = headrace.load_model("fake:Hello", params=PROCESS)
            model.open_session().complete("a")
            model.render_chat([{"role": "user", "content": "a"}])
            pid = model.client.worker.pid
            if fate == "close":
                model.close()
            elif fate == "die":
                os.kill(pid, signal.SIGKILL)
                with pytest.raises(BackendCrashedError):
                    model.tokenize("a")
            del model
            gc.collect()
            _wait_until_reaped(pid)
        with pytest.raises(headrace.ModelFormatError):
            headrace.load_model("fake:#load_fault=format", params=PROCESS)

    def used():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    def running():
        tick = threading.Event()
        while len(os.listdir("/proc/self/task")) > threads:
            tick.wait(0.01)  # a thread that saw a process off is on its way out

    once()
    threads = len(os.listdir("/proc/self/task"))
    before = used()
    for _ in range(3):
        once()
    assert used() == before
    running()


@linux
@pytest.mark.parametrize("stopped", [False, True])
def test_the_child_ends_when_its_parent_is_killed(stopped):
    """Even if it was stopped: the end of a pipe continues it."""
    script = LOAD + (
        "print(pid, flush=True)\n"
        f"if {stopped}:\n"
        "    os.kill(pid, signal.SIGSTOP)\n"
        "    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = _run(script)
    assert parent.returncode == -signal.SIGKILL, parent
    _wait_for_end(int(parent.stdout))


@linux
@pytest.mark.parametrize("fate", ["", "os.kill(pid, signal.SIGSTOP)", "os.kill(pid, 9)"])
def test_a_program_that_ends_with_open_models_does_so_in_silence(fate):
    """With a stream half read, whatever became of the child."""
    script = LOAD + (
        "session = model.open_session()\n"
        "stream = session.generate('a')\n"
        "next(stream)\n"
        "print(pid)\n"
        f"{fate}\n"
    )
    done = _run(script)
    assert (done.returncode, done.stderr) == (0, "")
    _wait_for_end(int(done.stdout))


# -- SIGCHLD --------------------------------------------------------------


def _reap_all(number, frame):
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@pytest.fixture(params=[signal.SIG_IGN, _reap_all], ids=["ignored", "all reaped"])
def reaping(request):
    """A program that does that with SIGCHLD."""
    before = signal.signal(signal.SIGCHLD, request.param)
    yield request.param
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture(params=["told", "not told", "no descriptor"])
def system(request, monkeypatch):
    """What the system knows of a process that somebody else has reaped."""
    if request.param != "told":
        monkeypatch.setattr(process, "_code_by_handle", lambda handle: None)
    if request.param == "no descriptor":
        monkeypatch.setattr(process, "_file_of", lambda pid: None)
    return request.param


@pytest.mark.parametrize("fault", ["segfault", "exit"])
def test_a_death_is_told_to_a_program_that_reaps_all_its_children(reaping, system, fault):
    """Without an exit status if need be, never with a wrong one."""
    with headrace.load_model(f"fake:#fault={fault}&fault_at=1", params=PROCESS) as model:
        with pytest.raises(BackendCrashedError) as caught:
            model.open_session().complete("a")
        code = caught.value.native_code
        known = {"segfault": -signal.SIGSEGV, "exit": 7}[fault]
        assert code in (known, None)
        if code is None:
            assert "its exit status is unknown" in caught.value.message
            assert "SIGCHLD" in caught.value.message
            if fault == "segfault":
                assert "Fatal Python error: Segmentation fault" in caught.value.message
    _wait_until_reaped(model.client.worker.pid)


def test_closing_ends_in_a_program_that_reaps_all_its_children(reaping, system):
    """At once, also if the child has to be killed."""
    for stopped in (False, True):
        model = headrace.load_model("fake:Hello", params=PROCESS)
        assert model.open_session().complete("a").text == "Hello"
        if stopped:
            os.kill(model.client.worker.pid, signal.SIGSTOP)
        model.close()
        _wait_until_reaped(model.client.worker.pid)


@linux
def test_what_a_program_does_with_signals_is_not_the_childs(load):
    """SIGCHLD ignored, others blocked: the child has children and a limit of its own."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGXCPU, signal.SIGTERM})
    try:
        pid = load().client.worker.pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGCHLD, before)
    told = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    masks = {
        line.split(":")[0]: int(line.split()[1], 16)
        for line in told
        if line[:3] == "Sig" and line[:4] != "SigQ"
    }
    assert masks["SigBlk"] == 0
    assert not masks["SigIgn"] >> (signal.SIGCHLD - 1) & 1
    assert masks["SigIgn"] >> (signal.SIGINT - 1) & 1


def test_an_interrupt_that_reaches_the_child_is_the_parents(load):
    """Whoever sent it to all of them."""
    model = load()
    stream = model.open_session().generate("Once", sampling=GREEDY, max_tokens=9)
    next(stream)
    os.kill(model.client.worker.pid, signal.SIGINT)
    assert len(list(stream)) == 8
    assert stream.result.tokens


# -- standard streams -----------------------------------------------------


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-", "2>&-"])
def test_a_program_without_standard_streams(closed, tmp_path):
    """Loads, generates, opens sessions; and what it opens as 0 to 2 later is its own."""
    script = LOAD + (
        "first = model.open_session().complete('a').text\n"
        "for number in range(3):\n"
        "    os.dup2(os.open(os.devnull, os.O_RDWR), number)\n"
        "second = model.open_session().complete('a').text\n"
        "open(sys.argv[1], 'w').write(first + ' ' + second)\n"
        "model.close()\n"
    )
    shell = f'exec "$0" -c "$1" "$2" {closed}'
    out = tmp_path / "out"
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, script, str(out)],
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done
    assert out.read_text() == "Hello Hello"


def test_a_backend_that_prints_much_is_neither_blocked_nor_failed(rude, monkeypatch):
    """What finds no room is lost."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # as it is outside of containers
    rude("print").close()


# -- exits and limits -----------------------------------------------------


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("exit", "called sys.exit('no licence')"),
        ("exit code", "called sys.exit(3)"),
        ("panic", "Panic: at the disco"),
    ],
)
def test_a_backend_that_exits_while_it_loads_is_told_as_that(rude, deed, said):
    """With what it said; not as a death."""
    with pytest.raises(BackendError) as caught:
        rude(deed)
    assert said in caught.value.message
    assert not isinstance(caught.value, BackendCrashedError)


def test_a_backend_that_exits_later_is_told_as_that_and_the_model_goes_on(rude):
    """The call ends with it, and nothing else does."""
    with rude("nothing") as model:
        with pytest.raises(BackendError, match=r"called sys\.exit\('in system_info'\)"):
            model.system_info()
        assert model.open_session().complete("a", max_tokens=3).tokens


def test_an_exit_that_nobody_can_see_coming_names_its_code(rude):
    """``os._exit`` ends the process itself."""
    with pytest.raises(BackendCrashedError, match="ended by itself with exit code 9") as caught:
        rude("os exit")
    assert caught.value.native_code == 9


def test_the_limit_of_processor_time_is_named(rude):
    """By its signal and its field."""
    with pytest.raises(BackendCrashedError) as caught:
        rude("spin", cpu_seconds=3)
    assert "was ended by SIGXCPU (its limit of processor time, cpu_seconds=3)" in str(caught.value)
    assert caught.value.native_code == -signal.SIGXCPU


def test_what_may_not_be_written_names_the_permission(rude):
    """As an error that the backend raises, or as the end of native code."""
    with pytest.raises(BackendError, match="may write no files"):
        rude("write")
    rude("write", write_files=True).close()
    with pytest.raises(BackendCrashedError, match=r"SIGXFSZ .*write_files=False"):
        rude("write and die")


@pytest.mark.parametrize(
    ("ended", "limits", "said"),
    [
        (Ended(-9), {}, "SIGKILL (killed from outside, or by the system for want of memory)"),
        (Ended(-9, 11.5), {"cpu_seconds": 10}, "SIGKILL (its limit of processor time, cpu_"),
        (Ended(-9, 1.0), {"cpu_seconds": 10}, "SIGKILL (killed from outside"),
        (Ended(-24), {}, "SIGXCPU (its limit of processor time)"),
        (Ended(-6), {"memory_bytes": 2**30}, "SIGABRT (perhaps for want of memory: memory_bytes="),
        (Ended(-11), {}, "was ended by SIGSEGV"),
        (Ended(-250), {}, "was ended by signal 250"),
        (Ended(1), {}, "ended by itself with exit code 1"),
        (Ended(None), {}, "ended; its exit status is unknown"),
        (None, {}, "does not end, though it was killed"),
    ],
)
def test_the_story_of_each_end(ended, limits, said):
    """The limit that was run into is named where it can be known."""
    assert said in describe(ended, IsolationParams(**limits), None)


# -- forks ----------------------------------------------------------------


def test_a_forked_process_ends_nothing_of_its_parents(load):
    """However it ends: its handles are not its own."""
    script = LOAD + (
        "import gc\n"
        "for ends in (lambda: sys.exit(0), lambda: os._exit(0)):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        ends()\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    model.close()\n"
        "    del model\n"
        "    gc.collect()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "print(model.open_session().complete('a').text)\n"
    )
    done = _run(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello\n", "")


def test_a_forked_process_can_load_its_own(load):
    """And the parent's goes on beside it."""
    script = LOAD + (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    with headrace.load_model('fake:Mine', params="
        "headrace.ModelParams(isolation='process')) as own:\n"
        "        assert own.open_session().complete('a').text == 'Mine'\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "print(model.open_session().complete('a').text)\n"
    )
    done = _run(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello\n", "")
