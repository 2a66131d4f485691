"""A command with commands under it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click

from headrace.cli.settings import Settings

_WHOLE = 10**6
"""More characters than a sentence has."""


class LateCommands(MutableMapping[str, click.Command]):
    """Commands by name, each imported when it is asked for.

    Args:
        places: For each name the module beside this one, what it is called there, and the first
            sentence of its help, with which it is listed without being imported.
    """

    def __init__(self, places: Mapping[str, tuple[str, str, str]]) -> None:
        self.places = dict(places)
        self._added: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name in self._added:
            return self._added[name]
        module, attribute, _ = self.places[name]
        found: click.Command = getattr(import_module(f"headrace.cli.{module}"), attribute)
        return found

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._added[name] = command

    def __delitem__(self, name: str) -> None:
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self.places, **self._added})

    def __contains__(self, name: object) -> bool:
        return name in self.places or name in self._added

    def __len__(self) -> int:
        return len({**self.places, **self._added})

    def sentence(self, name: str) -> str:
        """What the command is listed with."""
        if name in self._added:
            return self._added[name].get_short_help_str(_WHOLE)
        return self.places[name][2]


class Group(click.Group):
    """Lists its commands with the whole first sentence of each; notes the one that is run."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command."""
        found = super().resolve_command(ctx, args)
        ctx.ensure_object(Settings).command = found[1]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._sentence(name)) for name in self.list_commands(ctx)])

    def _sentence(self, name: str) -> str:
        """What a command is listed with."""
        if isinstance(self.commands, LateCommands):
            return self.commands.sentence(name)
        return self.commands[name].get_short_help_str(_WHOLE)


class Root(Group):
    """``headrace`` itself, whose commands are its own and those of plugins.

    Plugins are looked for when the commands are listed, or one is asked for that is not its own.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        from headrace.cli import plugin_commands

        return sorted({*super().list_commands(ctx), *plugin_commands.listed()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, its own first."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        from headrace.cli import plugin_commands

        return plugin_commands.loaded(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; where it is of a distribution that is not here, say how to get it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from headrace.cli import plugin_commands

            remedy = plugin_commands.remedy(args[0])
            if remedy is None:
                raise
            raise click.UsageError(f"{error.message.rstrip('.')}. {remedy}", ctx) from error

    def _sentence(self, name: str) -> str:
        from headrace.cli import plugin_commands

        if name in self.commands:
            return super()._sentence(name)
        return plugin_commands.listed()[name]
