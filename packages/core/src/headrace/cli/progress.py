"""A bar that shows how far something is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import click

from headrace.cli.streams import draws


@contextlib.contextmanager
def progress_bar(label: str, *, lines: bool = False) -> Iterator[Callable[[float], None]]:
    """A bar on the terminal that goes away when it is done.

    If stderr is no terminal, a line at every tenth with ``lines``, otherwise nothing.
    """
    if not draws():
        yield _tenths(label) if lines else lambda fraction: None
        return
    # rich takes longer to import than all the rest together.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

    columns = (label, BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def _tenths(label: str) -> Callable[[float], None]:
    told = 0

    def tell(fraction: float) -> None:
        nonlocal told
        if int(fraction * 10) > told:
            told = int(fraction * 10)
            click.echo(f"{label}: {told * 10} %", err=True)

    return tell
