"""The commands that plugins bring: listed without being imported, imported when they are run."""

from __future__ import annotations

import os

import click

from headrace.backend.plugins import InstalledCommand, discover
from headrace.backend.plugins.sources import normal
from headrace.common import above
from headrace.common.quotes import told
from headrace.common.seam import DEFECT_HINT, interrupts
from headrace.common.variables import SELECT_VARIABLE
from headrace.errors import BackendProtocolError, BackendUnavailableError, HeadraceError

_ELSEWHERE = {"serve": ("headrace-server", "pip install 'headrace[server]'")}
"""Commands of this project's other distributions: of which, and how it is installed."""


def listed() -> dict[str, str]:
    """For each command the sentence it is listed with; none where looking for plugins fails."""
    try:
        return {each.name: each.command.sentence for each in discover().commands}
    except HeadraceError:  # strict: the headrace's own are listed all the same
        return {}


def loaded(name: str) -> click.Command | None:
    """The command of that name, or None.

    Raises:
        BackendUnavailableError: If it cannot be imported.
        BackendProtocolError: If what its plugin calls one is none.
    """
    found = next((each for each in discover().commands if each.name == name), None)
    return None if found is None else _loaded(found)


def _loaded(entry: InstalledCommand) -> click.Command:
    whose = f"the command {entry.name!r} of {entry.distribution or f'plugin {entry.plugin!r}'}"
    try:
        with above.around_plugins():
            found = entry.command.load()
    except BaseException as error:  # SystemExit and the panics of other languages, too
        if interrupts(error) or isinstance(error, HeadraceError):
            raise
        if isinstance(error, ImportError):
            raise BackendUnavailableError(
                f"{whose} cannot be imported: {told(error)}",
                hint=entry.distribution
                and f"Install what it needs: pip install --upgrade {entry.distribution}",
            ) from error
        raise BackendProtocolError(f"{whose} failed: {told(error)}", hint=DEFECT_HINT) from error
    if not isinstance(found, click.Command):
        raise BackendProtocolError(f"{whose} is no click.Command", hint=DEFECT_HINT)
    return found


def remedy(name: str) -> str | None:
    """What to do about a command that is of another distribution; None for other names."""
    if name not in _ELSEWHERE:
        return None
    distribution, install = _ELSEWHERE[name]
    for each in discover().quarantine:
        if normal(each.distribution or "") == distribution:
            return f"{distribution} is installed, but cannot be used: {each.reason}"
    if SELECT_VARIABLE in os.environ:
        return f"{SELECT_VARIABLE} has to name {distribution}, which brings it: {install}"
    return f"{distribution} brings it: {install}"
