"""How an estimate of memory is shown."""

from __future__ import annotations

import attrs
import click

from headrace.cli.report import binary_size
from headrace.cli.texts import write_json
from headrace.results.machine import DeviceMemory, MemoryEstimate

_COLUMNS = ("device", "weights", "cache", "compute", "total", "free")


def show_estimate(found: MemoryEstimate, *, as_json: bool) -> None:
    """A table with a line for each device, and whether it fits."""
    if as_json:
        write_json({**attrs.asdict(found), "total": found.total, "fits": found.fits})
        return
    click.echo(f"{found.n_ctx:,} tokens of context")
    lines = [_COLUMNS, *map(_line, found.devices)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        click.echo("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
    for each in found.devices:
        if each.mapped:
            click.echo(
                f"{binary_size(each.mapped)} of the weights are mapped from the file: they use "
                "memory that is free, and need none."
            )
        if not each.fits:
            click.echo(f"It does not fit on {each.device}: {_why(each)}.")
    if found.fits:
        click.echo("It fits.")


def _line(each: DeviceMemory) -> tuple[str, ...]:
    free = "unknown" if each.free is None else f"{binary_size(each.free)} ({each.limit})"
    sizes = (each.weights, each.cache, each.compute, each.total)
    return (each.device, *map(binary_size, sizes), free)


def _why(each: DeviceMemory) -> str:
    if each.free is not None and each.required > each.free:
        return f"{binary_size(each.required)} are needed, {binary_size(each.free)} are free"
    return (
        f"{binary_size(each.total)} of addresses are needed, "
        f"{binary_size(each.address_space or 0)} are left (RLIMIT_AS)"
    )
