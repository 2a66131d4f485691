"""The call of a backend's ``load``, or a host's: what it does wrong ends as a typed error here."""

from __future__ import annotations

from collections.abc import Callable

from headrace.backend.backend import Backend, LoadRequest
from headrace.backend.host import Host
from headrace.common.quotes import shown, told
from headrace.common.seam import is_callers
from headrace.errors import (
    BackendError,
    BackendProtocolError,
    BackendUnavailableError,
    HeadraceError,
)
from headrace.model import Model

Progress = Callable[[float], "bool | None"]


class Watched:
    """Remembers what the caller's progress function raised: no backend is to blame for it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.error: BaseException | None = None

    def __call__(self, fraction: float) -> bool | None:
        """Pass the progress on."""
        try:
            return self._progress(fraction)
        except BaseException as error:
            self.error = error
            raise


def load_with(backend: Backend, request: LoadRequest, host: Host | None = None) -> Model:
    """Have a backend load, and see to it that what it does wrong ends as an error.

    Args:
        backend: The one that loads.
        request: What is loaded.
        host: Has it load elsewhere; None: it loads in this process.

    Raises:
        HeadraceError: What ``load_model`` raises.
    """
    who = f"backend {backend.name!r}"
    if host is not None:
        who = f"host {host.name!r} with {who}"
    try:
        model = backend.load(request) if host is None else host.load(request, backend)
    except HeadraceError:
        raise
    except BaseException as error:  # sys.exit() and the panics of other languages, too
        if isinstance(request.progress, Watched) and request.progress.error is error:
            raise
        if is_callers(error):
            raise
        kind = BackendUnavailableError if isinstance(error, ImportError) else BackendError
        raise kind(
            f"{who} failed to load {request.reference!r}: {told(error, most=2000)}",
            backend=backend.name,
        ) from error
    if not isinstance(model, Model):
        raise BackendProtocolError(
            f"{who} returned {shown(model)}, which is no model", backend=backend.name
        )
    return model
