"""Threads and forked children for tests: what happens in them is raised, or told, here."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable

KIT_THREAD = "headrace.testing"
"""What the names of the kit's own threads begin with."""


def run_all(*actions: Callable[[], object]) -> None:
    """Run callables in threads of their own; raises the first error of any of them."""
    errors: list[BaseException] = []

    def guarded(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=guarded, args=(action,), name=f"{KIT_THREAD}: {at}", daemon=True)
        for at, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def in_child(action: Callable[[], object]) -> str:
    """What the action returned (its repr) or raised (its class) in a forked child."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads may be alive
        pid = os.fork()
    if pid == 0:
        try:
            try:
                answer = repr(action())
            except BaseException as error:
                answer = type(error).__name__
            os.write(write, answer.encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(pid, 0)
    return answer
