"""Whether there is memory for a model before it is loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import headrace
from headrace.errors import HeadraceError
from headrace_server.errors import ApiError
from headrace_server.models.spec import ModelSpec


async def check_room(spec: ModelSpec, make: Callable[[], Awaitable[bool]]) -> None:
    """Ask the backend what a model needs, and make room where there is too little.

    Args:
        spec: The model.
        make: Has a model leave that nobody uses; False if there is none.

    Raises:
        ApiError: 503 if there is not enough, with what is needed and what is free.
    """
    if not spec.params.check_memory:
        return
    while True:
        try:
            estimate = await headrace.aestimate_memory(
                spec.reference, backend=spec.backend, params=spec.params, engine=spec.engine
            )
        except HeadraceError:
            return  # it does not tell; what is amiss with the model, its load says
        if estimate.fits:
            return
        if not await make():
            raise _too_little(spec, estimate)


def _too_little(spec: ModelSpec, estimate: headrace.MemoryEstimate) -> ApiError:
    tight = next(each for each in estimate.devices if not each.fits)
    free = tight.free if tight.free is not None else tight.address_space
    return ApiError(
        503,
        "out_of_memory",
        f"model: {spec.name!r} needs {tight.required} bytes of memory on {tight.device}, and "
        f"{free} are free with all idle models unloaded; ask again when other models are idle, or "
        "start the server with a smaller --n-ctx or another model",
        param="model",
        details={"bytes_needed": tight.required, "bytes_free": free},
    )
