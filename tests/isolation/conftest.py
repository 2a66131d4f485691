"""Models in processes of their own.

Nothing is collected unless ``HEADRACE_TEST_ISOLATION=1`` asks for it: each test starts
processes, which takes a while.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import headrace
from headrace import IsolationParams, Model, ModelParams

collect_ignore_glob = [] if os.environ.get("HEADRACE_TEST_ISOLATION") == "1" else ["test_*.py"]
HERE = Path(__file__).parent
ENDS = 60.0
"""Seconds that tell what ends from what hangs."""


@pytest.fixture
def load() -> Iterator[Callable[..., Model]]:
    """Load a fake in a process, with fields of ``IsolationParams``; closed after the test."""
    models = []

    def load_(reference: str = "fake:#mean_length=0", **limits: object) -> Model:
        params = ModelParams(isolation=IsolationParams(**limits))
        model = headrace.load_model(reference, params=params)
        models.append(model)
        return model

    yield load_
    for model in models:
        model.close()


@pytest.fixture
def rude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Model]:
    """Load the backend of ``rude.py`` in a process, where it is found as any plugin is."""
    told = tmp_path / "rude-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: rude\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[headrace.backends]\nrude = rude\n")
    (tmp_path / "rude.py").symlink_to(HERE / "rude.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    from rude import Rude

    def load_(deed: str, **limits: object) -> Model:
        params = ModelParams(isolation=IsolationParams(**limits))
        return headrace.load_model(f"rude:{deed}", backend=Rude(), params=params)

    yield load_
    sys.modules.pop("rude", None)


@pytest.fixture
def side_by_side() -> Callable[..., list[object]]:
    """Run calls in threads of their own; what each returned or raised. None of them hangs."""

    def run(calls: list[Callable[[], object]]) -> list[object]:
        found: list[object] = [None] * len(calls)

        def one(number: int) -> None:
            try:
                found[number] = calls[number]()
            except BaseException as error:
                found[number] = error

        threads = [
            threading.Thread(target=one, args=(number,), daemon=True)
            for number in range(len(calls))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(ENDS)
        hanging = [number for number, thread in enumerate(threads) if thread.is_alive()]
        assert hanging == [], hanging
        return found

    return run
