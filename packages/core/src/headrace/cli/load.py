"""Loading a model as the options say, behind a progress bar."""

from __future__ import annotations

import attrs

import headrace
from headrace.cli.limits import time_limit
from headrace.cli.progress import progress_bar
from headrace.cli.settings import settings, timeout


def load(
    reference: str,
    *,
    params: headrace.ModelParams | None = None,
    engine: headrace.EngineParams | None = None,
) -> headrace.Model:
    """Load a model with the backend and the settings that were given as options.

    Args:
        reference: The model.
        params: What the options change.
        engine: The same.
    """
    params, engine = with_options(params, engine)
    headrace.backends()  # to find them is none of the model's time
    with time_limit(timeout(), "loading"), progress_bar("Loading") as progress:
        return headrace.load_model(
            reference, backend=settings().backend, params=params, engine=engine, progress=progress
        )


def with_options(
    params: headrace.ModelParams | None = None, engine: headrace.EngineParams | None = None
) -> tuple[headrace.ModelParams, headrace.EngineParams]:
    """Params with what was given of ``headrace.cli.model_options``.

    Raises:
        ParamsError: For a value outside its range.
    """
    given = settings()
    return (
        attrs.evolve(params or headrace.ModelParams(), **given.model),
        attrs.evolve(engine or headrace.EngineParams(), **given.engine),
    )
