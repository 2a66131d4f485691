"""What a backend may say of itself for ``headrace doctor``.

Optional, beside the methods of ``Backend``. Nothing in the core knows a backend by its name.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headrace.diagnosis import BackendDiagnosis


@runtime_checkable
class Diagnoses(Protocol):
    """A backend that knows how it is."""

    def diagnose(self) -> BackendDiagnosis:
        """What it consists of and computes with; may import native code.

        What is wrong becomes a finding; what is raised becomes one too, of the core's.
        """
        ...
