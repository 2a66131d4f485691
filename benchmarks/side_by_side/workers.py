"""Workers from the side of whoever compares them: see ``workers/serving.py``."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "workers"


class Worker:
    """A runtime in a process of its own.

    Args:
        kind: ``headrace``, ``llama_cpp_python`` or ``xllamacpp``.
        python: The interpreter of its environment; None for this one.
    """

    def __init__(self, kind: str, python: str | None = None) -> None:
        command = [python or sys.executable, str(FOLDER / f"{kind}_worker.py")]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the worker
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.kind = kind

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def call(self, name: str, **arguments: Any) -> Any:
        """Have it do something, and wait for what that came to.

        Raises:
            RuntimeError: It failed; with the worker's traceback.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(
            json.dumps({"call": name, "arguments": arguments}),
            file=self._process.stdin,
            flush=True,
        )
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker of {self.kind} ended: {self._told()}")
        told = json.loads(line)
        if "error" in told:
            raise RuntimeError(f"the worker of {self.kind} failed: {told['error']}")
        return told["result"]

    def _told(self) -> str:
        self._process.communicate()
        self._errors.seek(0)
        return self._errors.read()[-3000:]

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._process.communicate(timeout=20)
        self._errors.close()


@contextlib.contextmanager
def opened(kind: str, python: str | None = None, **arguments: Any) -> Iterator[Worker]:
    """A worker with its model loaded, ended afterwards."""
    worker = Worker(kind, python)
    try:
        worker.call("open", **arguments)
        yield worker
    finally:
        worker.close()
