"""The rules, an area to a module; importing this registers all of them."""

from headrace.testing.suite import (  # noqa: I001  # in the order in which they run
    discovery,
    loading,
    lacking,
    tokens,
    streaming,
    stopping,
    cancelling,
    determinism,
    history,
    abilities,
    vectors,
    state,
    lifecycle,
    concurrency,
    tasks,
    hostile,
)

__all__ = [
    "abilities",
    "cancelling",
    "concurrency",
    "determinism",
    "discovery",
    "history",
    "hostile",
    "lacking",
    "lifecycle",
    "loading",
    "state",
    "stopping",
    "streaming",
    "tasks",
    "tokens",
    "vectors",
]
