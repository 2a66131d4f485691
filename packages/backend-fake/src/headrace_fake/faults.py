"""How a load fails that was told to."""

from __future__ import annotations

from typing import NoReturn

from headrace.errors import (
    BackendUnavailableError,
    HeadraceError,
    ModelFormatError,
    ModelLoadError,
    ModelMemoryError,
    ModelNotFoundError,
)
from headrace_fake.deaths import die
from headrace_fake.options import LoadFault

_LOAD_ERRORS: dict[LoadFault, type[HeadraceError]] = {
    LoadFault.NOT_FOUND: ModelNotFoundError,
    LoadFault.FORMAT: ModelFormatError,
    LoadFault.LOAD: ModelLoadError,
    LoadFault.MEMORY: ModelMemoryError,
    LoadFault.UNAVAILABLE: BackendUnavailableError,
}


def fail_to_load(fault: LoadFault) -> NoReturn:
    """Raise what a load fault stands for, or end the process."""
    die(fault)
    kind = _LOAD_ERRORS.get(fault)
    if kind is None:
        raise RuntimeError("the fake backend raises, as it was told to")
    raise kind(f"the fake backend fails to load ({fault.value}), as it was told to", backend="fake")
