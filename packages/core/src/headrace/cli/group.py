"""A command with commands under it."""

from __future__ import annotations

import click

from headrace.cli.settings import Settings

_WHOLE = 10**6
"""More characters than a sentence has."""


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
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(_WHOLE)) for name, each in commands if each]
            )
