"""A model spread over servers that are processes of this machine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

import headrace
from headrace import (
    BackendCrashedError,
    EngineParams,
    ModelLoadError,
    ModelParams,
    SamplingParams,
)
from tests.support import tiny_gguf

pytest.importorskip("headrace_subprocess")

_ENGINE = EngineParams(n_ctx=512, n_sequences=2, n_threads=1)
_GREEDY = SamplingParams(temperature=0)


class _Server:
    """``headrace rpc-server`` in a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
            self.port = trial.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        options = ["--port", str(self.port), "--threads", "1", "--memory", "2G"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headrace", "rpc-server", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in self.process.stdout:
            if line.startswith("Serving on"):
                return
        raise AssertionError(f"the server ended with {self.process.wait()}")

    def end(self) -> str:
        """Kill it; returns what it wrote meanwhile."""
        if self.process.stdout.closed:
            return ""
        self.process.kill()
        written, _ = self.process.communicate()
        return written


@pytest.fixture
def servers():
    """Two of them."""
    found = [_Server(), _Server()]
    yield found
    for each in found:
        each.end()


def _load(kind, *servers):
    params = ModelParams()
    if servers:
        params = ModelParams(isolation="process", rpc_servers=[each.address for each in servers])
    return headrace.load_model(
        tiny_gguf.path(kind), backend="llamacpp", engine=_ENGINE, params=params
    )


def _tokens(model):
    with model.open_session() as session:
        return session.complete(
            "lorem ipsum dolor", sampling=_GREEDY, max_tokens=48, ignore_eog=True
        ).tokens


@pytest.mark.parametrize("kind", ["attention", "window"])
def test_two_servers_write_what_one_machine_writes(servers, kind):
    """Token for token, and both were used."""
    with _load(kind) as model:
        expected = _tokens(model)
    with _load(kind, *servers) as model:
        assert _tokens(model) == expected
    for each in servers:
        # A check of the port is one connection, and there is one more that lasts.
        assert len(re.findall("Accepted client", each.end())) >= 2


def test_a_server_that_is_lost_is_an_error(servers):
    """In the middle of a generation; this process and the other server live."""
    with _load("attention", *servers) as model, model.open_session() as session:
        stream = session.generate("x", sampling=_GREEDY, max_tokens=400, ignore_eog=True)
        next(stream)
        os.kill(servers[0].process.pid, signal.SIGKILL)
        with pytest.raises(BackendCrashedError, match="SIGABRT") as caught:
            for _ in stream:
                pass
    assert any("RPC server" in line for line in caught.value.native_log)
    with pytest.raises(ModelLoadError, match=servers[0].address):
        _load("attention", *servers)
    with _load("attention", servers[1]) as model:
        assert len(_tokens(model)) == 48


def test_what_is_no_server_is_an_error():
    """It is named, and the process does not die of it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{other.getsockname()[1]}"
        params = ModelParams(isolation="process", rpc_servers=[address])
        with pytest.raises(ModelLoadError, match=f"no RPC server can be reached at {address}"):
            headrace.load_model(tiny_gguf.path("attention"), backend="llamacpp", params=params)
