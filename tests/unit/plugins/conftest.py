"""Makes real distributions on ``sys.path``: a dist-info folder, an entry point, a module."""

from __future__ import annotations

import logging
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from headrace.common import overdue

GOOD_BACKEND = """
    from headrace.protocols import hookimpl

    class Backend:
        name = {name!r}
        protocol_version = {protocol_version}
        version = "3.2.1"
        claims = {claims!r}

        def can_load(self, reference):
            return {can_load}

        def load(self, request):
            raise NotImplementedError

        def capabilities(self):
            return frozenset()

    @hookimpl
    def headrace_register_backends(register):
        register(Backend())
"""


@attrs.define
class Site:
    """A folder on ``sys.path`` that distributions can be installed into."""

    folder: Path
    modules: list[str] = attrs.field(factory=list)

    def install(
        self,
        distribution: str,
        source: str,
        *,
        plugin: str | None = None,
        version: str = "1.0",
    ) -> None:
        """Install a distribution with one module and one entry point that names it."""
        module = f"{self.folder.name}_{len(self.modules)}_{distribution.replace('-', '_')}"
        module = "".join(each if each.isalnum() else "_" for each in module)
        self.modules.append(module)
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(
            f"[headrace.backends]\n{plugin or distribution} = {module}\n"
        )

    def install_backend(
        self,
        name: str,
        *,
        claims: str = "",
        distribution: str = "",
        can_load: str = "reference.startswith(self.claims)",
        protocol_version: str = "2",
    ) -> None:
        """Install a well-behaved plugin, but for what is said otherwise."""
        source = GOOD_BACKEND.format(
            name=name,
            claims=claims or f"{name}:",
            can_load=can_load,
            protocol_version=protocol_version,
        )
        self.install(distribution or f"headrace-{name}", source, plugin=name)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site folder, first on ``sys.path``, with no plugin variable set."""
    folder = tmp_path / "site"
    folder.mkdir()
    for variable in ("HEADRACE_PLUGINS", "HEADRACE_STRICT_PLUGINS", "HEADRACE_BACKEND"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    made = Site(folder)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


@pytest.fixture
def told(monkeypatch):
    """What the watch tells of ``mill``; it has little patience, and the first sets ``told.event``.

    On a busy machine it may tell of others, too.
    """

    class Told(logging.Handler):
        def __init__(self):
            super().__init__()
            self.messages = []
            self.event = threading.Event()

        def emit(self, record):
            if "'mill'" in record.getMessage():
                self.messages.append(record.getMessage())
                self.event.set()

    handler = Told()
    monkeypatch.setattr(overdue, "PATIENCE", 0.01)
    monkeypatch.setitem(sys.modules, "headrace_test_told", handler)
    overdue.log.addHandler(handler)
    yield handler
    overdue.log.removeHandler(handler)
