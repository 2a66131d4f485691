"""Property tests inside of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.testing.kit import Kit


def for_all(kit: Kit, **strategies: Any) -> Callable[[Callable[..., None]], None]:
    """Run the decorated function with examples of the strategies, at once.

    The examples are always the same ones: a report shall not change from run to run.
    """
    from hypothesis import HealthCheck, given, settings

    how = settings(
        max_examples=kit.subject.examples,
        deadline=None,
        database=None,
        derandomize=True,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )

    def run(check: Callable[..., None]) -> None:
        how(given(**strategies)(check))()

    return run
