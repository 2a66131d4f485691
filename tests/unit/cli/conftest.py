"""Calls the command line in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import attrs
import pytest

from headrace.cli import main


@attrs.frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs ``headrace`` with arguments, and bytes for stdin (None: a terminal)."""
    for variable in ("HEADRACE_PLUGINS", "HEADRACE_STRICT_PLUGINS", "HEADRACE_BACKEND"):
        monkeypatch.delenv(variable, raising=False)

    def call_(*arguments: str, stdin: bytes | None = None) -> Ended:
        file = io.TextIOWrapper(io.BytesIO(stdin or b""))
        file.isatty = lambda: stdin is None  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert isinstance(caught.value.code, int)
        captured = capsys.readouterr()
        return Ended(caught.value.code, captured.out, captured.err)

    return call_
