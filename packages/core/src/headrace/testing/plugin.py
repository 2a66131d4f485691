"""The pytest plugin: fixtures for programs that use headrace, and for plugins.

``fake_model``, ``tiny_gguf`` and ``isolated_plugins``. What a fixture needs and does not find is
an error that says what to install, never a skip: whoever names the fixture asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.backend.backend import Backend
from headrace.errors import HeadraceError, UnsupportedError
from headrace.model import Model


@pytest.fixture
def fake_model() -> Iterator[Callable[..., Model]]:
    """A model that writes what it is told to: ``fake_model("Hello", delay=0.01, fault_at=3)``.

    Keywords are those of ``headrace_fake.FakeOptions``, and ``engine`` for ``EngineParams``.
    Models are closed at the end of the test.
    """
    from headrace.loading.load import load_model

    try:
        from headrace_fake import FakeBackend
    except ImportError as error:
        raise _missing("fake_model", "headrace-fake") from error
    opened: list[Model] = []

    def make(script: str | bytes | None = None, *, engine: Any = None, **options: Any) -> Model:
        backend = FakeBackend(script=script, **options)
        opened.append(load_model("fake:", backend=backend, engine=engine))
        return opened[-1]

    yield make
    for model in opened:
        model.close()


@pytest.fixture(scope="session")
def tiny_gguf() -> Callable[..., Path]:
    """The file of a tiny model for llama.cpp: ``tiny_gguf("attention")``.

    Also ``"window"`` and ``"recurrent"``. Real GGUF files of some hundred kilobytes, with random
    weights that are always the same; they write nonsense, and practically never end.
    """
    try:
        import gguf  # noqa: F401  # which brings numpy
    except ImportError as error:
        raise _missing("tiny_gguf", "gguf") from error
    from headrace.testing.tiny_gguf import path

    return path


@pytest.fixture
def isolated_plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Backends for one test: ``isolated_plugins(backend)`` adds one to those that are installed.

    Afterwards nothing of it is left; and what a test changes in ``sys.path`` and the variables
    ``HEADRACE_…`` cannot spoil the next one's discovery. A backend of the same name as an
    installed one takes its place, and that one is in quarantine meanwhile.
    """
    from headrace.backend.plugins import discovery, sources, validate_backend

    monkeypatch.setattr(discovery, "_answer", None)
    for variable in ("HEADRACE_PLUGINS", "HEADRACE_STRICT_PLUGINS", "HEADRACE_BACKEND"):
        monkeypatch.delenv(variable, raising=False)
    added: list[sources.Source] = []
    own = sources.own
    # Beside headrace's own, whose names no plugin can take.
    monkeypatch.setattr(sources, "own", lambda: [*added, *own()])

    def add(backend: Any) -> None:
        plugin = _plugin(validate_backend(backend))
        added.insert(0, sources.Source("isolated_plugins", None, None, lambda: plugin))
        discovery._answer = None

    return add


def _plugin(backend: Backend) -> object:
    """What stands for a plugin's module."""
    from headrace.protocols import hookimpl

    class Plugin:
        @hookimpl
        def headrace_register_backends(self, register: Callable[[object], None]) -> None:
            register(backend)

    return Plugin()


def _missing(fixture: str, package: str) -> HeadraceError:
    return UnsupportedError(
        f"the fixture {fixture} needs {package}, which is not installed",
        hint=f"Install it: pip install {package}",
    )
