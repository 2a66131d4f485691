"""``headrace rpc-server``: what it refuses; that it serves is in tests/integration/test_rpc.py."""

from __future__ import annotations

import socket

import pytest

from headrace.cli import rpc_server
from headrace.cli.app import main


class _Serving:
    name = "serving"

    def __init__(self):
        self.served = None

    def serve_devices(self, host, port, *, n_threads):
        self.served = (host, port, n_threads)
        raise OSError("no more")


@pytest.fixture
def serving(monkeypatch):
    """A backend that serves, the only one."""
    backend = _Serving()
    monkeypatch.setattr(rpc_server, "backends", lambda: {"serving": backend})
    return backend


def _ended(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["rpc-server", *arguments])
    return ended.value.code


def _free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "box.lan"])
def test_other_machines_reach_it_only_if_that_is_said(serving, capsys, host):
    """The warning is shown whatever was said."""
    assert _ended("--host", host) == 2
    shown = capsys.readouterr().err
    assert "take the process over" in shown
    assert "--allow-network" in shown
    assert serving.served is None


def test_loopback_needs_no_more(serving, capsys):
    """And what ends the server is an error."""
    port = _free_port()
    assert _ended("--port", str(port), "--threads", "3") == 1
    assert serving.served == ("127.0.0.1", port, 3)
    shown = capsys.readouterr().err
    assert "WARNING" not in shown
    assert "no more" in shown


def test_the_network_is_served_when_it_is_allowed(serving, capsys):
    """With the warning."""
    assert _ended("--host", "0.0.0.0", "--port", str(_free_port()), "--allow-network") == 1
    assert serving.served[0] == "0.0.0.0"
    assert "WARNING" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(serving, capsys):
    """Before the native library is asked."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert _ended("--port", str(port)) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert serving.served is None


def test_a_size_that_is_none_is_named(serving, capsys):
    """Nothing is limited, nothing served."""
    for size in ("much", "0", "1M", "9" * 30, "9" * 30 + "G"):
        assert _ended("--port", str(_free_port()), "--memory", size) == 2
        assert "--memory must be" in capsys.readouterr().err


def test_without_a_backend_that_serves_it_says_so(monkeypatch, capsys):
    """The fake does not."""
    assert _ended("--backend", "fake") == 1
    assert "does not serve" in capsys.readouterr().err
