"""The peers, each in an environment of its own that pip made: once, into the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from native_build.progress import say
from native_build.settings import Settings


@dataclass(frozen=True)
class Peer:
    """A runtime from the package index.

    Attributes:
        requirement: What pip installs.
        worker: The script of ``workers`` that runs it, without ``_worker.py``.
        options: More for pip.
        environ: What steers its build.
    """

    requirement: str
    worker: str
    options: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()


PEERS = {
    "llama-cpp-python": Peer(
        "llama-cpp-python==0.3.36",
        "llama_cpp_python",
        ("--no-binary", "llama-cpp-python"),
        # Only the library that its Python uses, for this machine's processor.
        (("CMAKE_ARGS", "-DGGML_NATIVE=ON -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF"),),
    ),
    "xllamacpp": Peer("xllamacpp==2026.10.11549", "xllamacpp", ("--only-binary", ":all:")),
}


def python_of(name: str) -> str:
    """The interpreter of a peer's environment, made if it is not there yet.

    Args:
        name: A key of ``PEERS``.

    Raises:
        SystemExit: pip failed; with what it wrote.
    """
    peer = PEERS[name]
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folder = Settings.from_environment().cache_dir / "peers" / f"{peer.requirement}-py{version}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    finished = folder / "finished"
    if not finished.is_file():
        say(f"installing {peer.requirement} into {folder}; a build takes some minutes, once")
        venv.create(folder, with_pip=True, clear=True)
        _install(python, peer)
        finished.touch()
    return str(python)


def _install(python: Path, peer: Peer) -> None:
    command = [str(python), "-m", "pip", "install", *peer.options, peer.requirement]
    done = subprocess.run(
        command,
        env={**os.environ, **dict(peer.environ)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{peer.requirement} could not be installed:\n{done.stdout[-3000:]}")
