"""What every backend promises, tested on this one by headrace's conformance kit."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tiny import save_tiny

from headrace.testing import BackendConformance, Subject


class TestConformance(BackendConformance):
    """All rules; what the backend does not claim does not apply."""

    @classmethod
    def subject(cls) -> Subject:
        """A tiny model, and one without weights."""
        cls.folder = tempfile.TemporaryDirectory(prefix="headrace-transformers-")
        tiny, damaged = Path(cls.folder.name) / "tiny", Path(cls.folder.name) / "damaged"
        save_tiny(tiny)
        shutil.copytree(tiny, damaged)
        (damaged / "model.safetensors").write_bytes(b"no weights")
        return Subject(backend="transformers", model=str(tiny), damaged_model=str(damaged))

    @classmethod
    def teardown_class(cls) -> None:
        """Close the model and remove the folder."""
        super().teardown_class()
        cls.folder.cleanup()
