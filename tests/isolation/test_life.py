"""Loading, cancelling, limits and the end of a model in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

import headrace
from headrace import BackendNotFoundError, ModelParams, ParamsError, SamplingParams, StopReason

PROCESS = ModelParams(isolation="process")
GREEDY = SamplingParams(temperature=0.0)


def test_it_runs_elsewhere(load):
    """In a process that ends with the model."""
    model = load("fake:Hello")
    pid = model.client.worker.pid
    assert pid != os.getpid()
    assert model.info.backend == "fake"
    assert model.open_session().complete("Say").text == "Hello"
    model.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_errors_of_the_backend_come_out_as_they_are():
    """Class, message, hint."""
    with pytest.raises(headrace.ModelFormatError, match="as it was told to") as caught:
        headrace.load_model("fake:#load_fault=format", params=PROCESS)
    assert caught.value.backend == "fake"


def test_progress_comes_out_and_ends_the_load():
    """And what it raises passes."""
    seen = []
    headrace.load_model("fake:", params=PROCESS, progress=seen.append).close()
    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    with pytest.raises(headrace.ModelLoadCancelledError):
        headrace.load_model("fake:#load_delay=2", params=PROCESS, progress=lambda done: done < 0.3)

    def broken(done):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        headrace.load_model("fake:#load_delay=1", params=PROCESS, progress=broken)


def test_a_cancel_ends_a_step_that_would_take_an_hour(load):
    """Out of band, while the child is inside the step."""
    model = load("fake:#prefill_delay=100")
    session = model.open_session()
    stream = session.generate("A long prompt", sampling=GREEDY)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    model.tokenize("the child answers meanwhile")
    stream.cancel()
    reader.join()
    assert stream.result.stop_reason is StopReason.CANCELLED
    assert session.tokens == []


@pytest.mark.parametrize("name", ["subprocess", "process"])
def test_the_host_is_no_backend(name):
    """The error says how it is asked for."""
    assert name not in headrace.backends()
    with pytest.raises(BackendNotFoundError, match=f"no backend '{name}'") as caught:
        headrace.load_model("fake:", backend=name)
    assert "isolation='process'" in caught.value.hint


def test_the_child_ends_when_its_parent_dies():
    """Even if the parent had no time to say goodbye."""
    script = (
        "import headrace, os, signal\n"
        "model = headrace.load_model('fake:', params=headrace.ModelParams(isolation='process'))\n"
        "print(model.client.worker.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # The child holds no end of this pipe but its own stderr, so the pipe ends with the parent.
    parent = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False)
    assert parent.returncode == -signal.SIGKILL
    _wait_for_end(int(parent.stdout))


def _wait_for_end(pid: int) -> None:
    """Returns when there is no such process; the test's own limit is whoever runs it."""
    tick = threading.Event()
    while True:
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        tick.wait(0.01)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_child_may_do_what_was_allowed_and_no_more(load):
    """Limits are set before anything is loaded."""
    model = load(memory_bytes=2**31, cpu_seconds=1000)
    with open(f"/proc/{model.client.worker.pid}/limits", encoding="ascii") as file:
        limits = {line[:26].strip(): line[26:].split()[0] for line in file}
    assert limits["Max address space"] == str(2**31)
    assert limits["Max cpu time"] == "1000"
    assert limits["Max file size"] == "0"
    free = load(write_files=True)
    with open(f"/proc/{free.client.worker.pid}/limits", encoding="ascii") as file:
        assert "Max file size             unlimited" in file.read()


@pytest.mark.parametrize("bad", ["thread", 1, {"memory_bytes": 1}])
def test_a_wrong_isolation_is_refused(bad):
    """Naming what it may be."""
    with pytest.raises(ParamsError, match="isolation must be 'process', IsolationParams or None"):
        ModelParams(isolation=bad)


def test_a_fork_does_not_keep_the_child_alive(load):
    """Handles say that they belong to the parent."""
    model = load()
    pid = os.fork()
    if pid == 0:
        try:
            model.tokenize("a")
        except headrace.ForkedProcessError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert model.tokenize("a")
