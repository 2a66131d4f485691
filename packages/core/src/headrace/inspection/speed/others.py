"""A busy machine: other processes that compute while something is measured."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from headrace.errors import UnsupportedError

_COMPUTES = """
import os, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()
n = 1
while True: n = n * 6364136223846793005 % 18446744073709551557
"""
"""It ends with its standard input: however this program ends, nothing is left computing."""


@contextlib.contextmanager
def computing(processes: int) -> Iterator[None]:
    """So many processes compute while the block runs, and have ended after it.

    Raises:
        UnsupportedError: If there is no interpreter to run in them.
    """
    if processes and not sys.executable:
        raise UnsupportedError(
            "others cannot compute beside it: this program has no Python interpreter of its own",
            hint="Pass others=0.",
        )
    started: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(processes):
            command = [sys.executable, "-S", "-E", "-c", _COMPUTES]
            started.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        yield
    finally:
        for each in started:
            each.kill()
        for each in started:
            each.communicate()  # waits, and closes the pipe
