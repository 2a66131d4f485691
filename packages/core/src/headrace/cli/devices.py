"""``headrace devices``: what models can be loaded on."""

from __future__ import annotations

import attrs
import click

from headrace.cli.options import debug_option, json_option
from headrace.cli.report import binary_size
from headrace.cli.texts import write_json
from headrace.inspection.devices import survey
from headrace.loading.choose import INSTALL_HINT, backends
from headrace.results.machine import Device


@click.command()
@json_option
@debug_option
def devices(as_json: bool) -> None:
    """List the devices that the installed backends can use.

    The first word of a line is what --device takes.
    """
    found = survey(backends().values())
    if as_json:
        failures = {name: str(error) for name, error in found.failures.items()}
        write_json(
            {"devices": [attrs.asdict(each) for each in found.devices], "failures": failures}
        )
        return
    for each in found.devices:
        click.echo(f"{each.name}  {each.kind}, {each.backend}: {each.description}{_memory(each)}")
    for name, error in found.failures.items():
        click.echo(f"{name}: no devices: {error}", err=True)
    if not found.devices and not found.failures:
        click.echo(f"No backend that knows its devices is installed. {INSTALL_HINT}")


def _memory(device: Device) -> str:
    if device.memory_total is None:
        return ""
    total = binary_size(device.memory_total)
    if device.memory_free is None:
        return f" ({total})"
    return f" ({binary_size(device.memory_free)} of {total} free)"
