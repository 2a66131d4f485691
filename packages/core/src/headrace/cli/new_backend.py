"""``headrace new-backend``: a plugin project that works from the first minute."""

from __future__ import annotations

import click

from headrace.cli.options import FILE, debug_option


@click.command()
@click.argument("name")
@click.option(
    "--directory",
    type=FILE,
    metavar="D",
    help="Where to write it; it must not exist  [default: headrace-NAME].",
)
@click.option("--service", is_flag=True, help="For a remote service instead of a library.")
@debug_option
def new_backend(name: str, directory: str | None, service: bool) -> None:
    """Write the project of a backend named NAME: a toy that passes the conformance kit."""
    from headrace import scaffold

    target = scaffold.new_backend(name, directory, service=service)
    click.echo(f"{target}: the backend {name!r}. What to do next:")
    click.echo(f"    cd {target} && pip install -e '.[test]' && pytest")
