"""How much memory the fake pretends to need: the same for the same settings."""

from __future__ import annotations

from headrace.errors import ModelMemoryError
from headrace.params import EngineParams
from headrace.results.machine import Device, DeviceMemory, MemoryEstimate
from headrace_fake.options import CELL, WEIGHTS, FakeOptions

DEVICE = "FAKE"


def device(options: FakeOptions) -> Device:
    """The only device there is."""
    return Device(
        name=DEVICE,
        description="pretends to compute",
        kind="cpu",
        backend="fake",
        library=DEVICE,
        memory_total=options.memory,
        memory_free=options.memory,
    )


def estimate(options: FakeOptions, engine: EngineParams) -> MemoryEstimate:
    """What a model and a context of it would need."""
    n_ctx = engine.context_length(options.n_ctx)
    return MemoryEstimate(backend="fake", n_ctx=n_ctx, devices=taken(options, n_ctx))


def taken(options: FakeOptions, n_ctx: int) -> tuple[DeviceMemory, ...]:
    """What a model and a context of so many tokens take."""
    need = DeviceMemory(
        device=DEVICE,
        weights=WEIGHTS,
        cache=CELL * n_ctx,
        free=options.memory,
        limit="FakeOptions.memory",
    )
    return (need,)


def check(options: FakeOptions, engine: EngineParams | None, *, n_more: int = 0) -> None:
    """Refuse a model, or with settings of an engine a context beside it, that does not fit.

    Args:
        options: What the fake is told to do.
        engine: Settings of the context.
        n_more: Tokens of memories beside it.

    Raises:
        ModelMemoryError: As a real backend does.
    """
    what, needed = "the fake model", WEIGHTS
    if engine is not None:
        n_ctx = engine.context_length(options.n_ctx) + n_more
        what, needed = f"a context of {n_ctx} tokens", WEIGHTS + CELL * n_ctx
    if needed > options.memory:
        raise ModelMemoryError(
            f"{what} needs {needed} bytes of memory, and {options.memory} are free",
            hint="Lower EngineParams.n_ctx or raise FakeOptions.memory; "
            "ModelParams(check_memory=False) tries all the same.",
            backend="fake",
        )
