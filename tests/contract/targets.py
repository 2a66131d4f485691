"""What the contract is tested on: each kind of memory, faked and real.

A target loads a small model that writes text for as long as it is asked to.
The real ones are there when ``HEADRACE_TEST_LLAMACPP=1`` asks for them, and
then a backend that is missing or broken fails the tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import attrs

import headrace
from headrace import EngineParams, Model, ModelParams
from headrace_fake import FakeBackend


@attrs.frozen
class Target:
    """A backend with a model to load."""

    name: str
    open: Callable[[EngineParams], Model]
    violations: Callable[[], tuple[object, ...]] = tuple
    """Breaches of the decoder protocol that the fake noted; a real library just crashes."""
    adapter: Callable[[int], str] = "fake:#seed={}".format
    """References of adapters for the model, as many as wanted."""
    vector: Callable[[int], str] = "fake:#seed={}".format
    """References of control vectors for it."""
    placed: bool = False
    """Whether the fake's text depends on where in memory it lies: but for reproducible sessions
    it is then no function of the history."""
    windowed: bool = False
    """Whether a state has no more of a long memory than a window: a reproducible session, which
    is to find its tokens where they were, then computes its history again."""
    isolated: bool = False
    """Whether it runs in another process, where no test can reach into its engine."""

    infilling: Callable[[EngineParams], Model] | None = None
    """Loads the model with tokens for filling in the middle, if it has none by itself."""

    def load(self, **engine: object) -> Model:
        """Load the model with some settings of the engine."""
        return self.open(EngineParams(**{"n_ctx": 512, "n_threads": 1, **engine}))

    def load_infill(self) -> Model:
        """Load a model that can fill in the middle."""
        return (self.infilling or self.open)(EngineParams(n_ctx=512, n_threads=1))


def fake(name: str, **options: object) -> Target:
    """The fake as it is told to be."""
    backend = FakeBackend(mean_length=0, **options)

    def load(engine: EngineParams) -> Model:
        return headrace.load_model("fake:", backend=backend, engine=engine)

    return Target(name, load, lambda: backend.violations, placed="placement" in options)


def _llamacpp(name: str, kind: str) -> Target:
    def load(engine: EngineParams) -> Model:
        from tests.support import tiny_gguf

        return headrace.load_model(tiny_gguf.path(kind), backend="llamacpp", engine=engine)

    def load_infill(engine: EngineParams) -> Model:
        from tests.support import tiny_gguf

        path = tiny_gguf.path(f"{kind}+infill")
        return headrace.load_model(path, backend="llamacpp", engine=engine)

    def adapter(seed: int) -> str:
        from tests.support import tiny_adapters

        return str(tiny_adapters.lora(kind, seed))

    def vector(seed: int) -> str:
        from tests.support import tiny_adapters

        return str(tiny_adapters.vector(kind, seed))

    return Target(
        name,
        load,
        adapter=adapter,
        vector=vector,
        windowed=kind == "window",
        infilling=load_infill,
    )


def _isolated(
    name: str,
    reference: Callable[[], str],
    inner: Target,
    infilling: Callable[[], str] | None = None,
) -> Target:
    def loader(found: Callable[[], str]) -> Callable[[EngineParams], Model]:
        def load(engine: EngineParams) -> Model:
            params = ModelParams(isolation="process")
            return headrace.load_model(found(), params=params, engine=engine)

        return load

    return Target(
        name,
        loader(reference),
        adapter=inner.adapter,
        vector=inner.vector,
        isolated=True,
        infilling=None if infilling is None else loader(infilling),
    )


def _tiny(kind: str) -> Callable[[], str]:
    def path() -> str:
        from tests.support import tiny_gguf

        return str(tiny_gguf.path(kind))

    return path


TARGETS = [
    fake("fake-attention", truncation="any"),
    fake("fake-window", truncation="recent", reach=8, max_more=5),
    fake("fake-recurrent", truncation="none", can_copy=False),
]

if os.environ.get("HEADRACE_TEST_ISOLATION") == "1":
    TARGETS += [_isolated("subprocess-fake", lambda: "fake:#mean_length=0", TARGETS[0])]

if os.environ.get("HEADRACE_TEST_LLAMACPP") == "1":
    TARGETS += [
        _llamacpp("llamacpp-attention", "attention"),
        _llamacpp("llamacpp-window", "window"),
        _llamacpp("llamacpp-recurrent", "recurrent"),
    ]

if {os.environ.get(f"HEADRACE_TEST_{name}") for name in ("ISOLATION", "LLAMACPP")} == {"1"}:
    inner = _llamacpp("llamacpp-attention", "attention")
    TARGETS += [
        _isolated("subprocess-llamacpp", _tiny("attention"), inner, _tiny("attention+infill"))
    ]
