"""``headrace backends``: what is installed, and what is kept out and why."""

from __future__ import annotations

from typing import Any

import click

from headrace.backend.plugins import (
    Discovery,
    Installed,
    InstalledBackend,
    Quarantined,
    discover,
)
from headrace.cli.options import debug_option, json_option
from headrace.cli.settings import Settings
from headrace.cli.texts import write_json
from headrace.common.quotes import in_brief
from headrace.common.seam import Seam
from headrace.errors import HeadraceError
from headrace.inspection.devices import library_of
from headrace.loading.choose import INSTALL_HINT


@click.command()
@json_option
@debug_option
@click.pass_obj
def backends(settings: Settings, as_json: bool) -> None:
    """List what the installed plugins bring, and the quarantined plugins.

    Backends, hosts, resolvers, observers and commands.

    With --debug the tracebacks of quarantined plugins are shown too.
    """
    found = discover()
    if as_json:
        write_json(_as_json(found))
        return
    for entry in found.backends:
        _show_backend(entry)
    for host in found.hosts:
        click.echo(f"{host.name} {in_brief(host.host.version)}: runs backends  ({_origin(host)})")
    for each in found.resolvers:
        click.echo(f"{each.name}: references  ({_origin(each)})")
        click.echo(f"    {in_brief(each.resolver.description)}")
    for observer in found.observers:
        click.echo(f"{observer.name}: observer of plugin {observer.plugin}  ({_origin(observer)})")
    for command in found.commands:
        click.echo(f"headrace {command.name}: command  ({_origin(command)})")
        click.echo(f"    {in_brief(command.command.sentence)}")
    for kept_out in found.quarantine:
        _show_quarantined(kept_out, tracebacks=settings.debug)
    if not found.backends:
        click.echo(f"No backend is installed. {INSTALL_HINT}")


def _show_backend(entry: InstalledBackend) -> None:
    click.echo(f"{entry.name} {in_brief(entry.backend.version)}  ({_origin(entry)})")
    library = library_of(entry)
    if library:
        click.echo(f"    library: {in_brief(library)}")
    click.echo(f"    capabilities: {', '.join(_capabilities(entry)) or 'none'}")


def _show_quarantined(entry: Quarantined, *, tracebacks: bool) -> None:
    click.echo(f"{entry.plugin}: quarantined  ({_origin(entry)})")
    click.echo(f"    {entry.reason}")
    if tracebacks:
        click.echo("".join(f"    {line}\n" for line in entry.traceback.splitlines()), nl=False)


def _origin(entry: Installed | Quarantined) -> str:
    if entry.distribution is None:
        return "of no known distribution"
    return f"{entry.distribution} {entry.distribution_version}"


def _capabilities(entry: InstalledBackend) -> list[str]:
    """As far as the backend still tells: it did when it was installed."""
    try:
        with Seam(entry.name).during("capabilities"):
            return sorted(str(each) for each in entry.backend.capabilities())
    except HeadraceError:
        return []


def _from(entry: Installed | Quarantined) -> dict[str, str | None]:
    return {
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "distribution_version": entry.distribution_version,
    }


def _as_json(found: Discovery) -> dict[str, Any]:
    return {
        "backends": [
            {
                "name": entry.name,
                "version": entry.backend.version,
                "protocol_version": entry.backend.protocol_version,
                "library": library_of(entry) or None,
                "capabilities": _capabilities(entry),
                **_from(entry),
            }
            for entry in found.backends
        ],
        "hosts": [
            {
                "name": each.name,
                "version": each.host.version,
                "protocol_version": each.host.protocol_version,
                **_from(each),
            }
            for each in found.hosts
        ],
        "resolvers": [
            {"scheme": each.name, "description": each.resolver.description, **_from(each)}
            for each in found.resolvers
        ],
        "observers": [{"name": each.name, **_from(each)} for each in found.observers],
        "commands": [
            {"name": each.name, "sentence": each.command.sentence, **_from(each)}
            for each in found.commands
        ],
        "quarantine": [
            {
                **_from(entry),
                "error": type(entry.error).__name__,
                "reason": entry.reason,
                "traceback": entry.traceback,
            }
            for entry in found.quarantine
        ],
    }
