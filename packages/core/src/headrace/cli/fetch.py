"""``headrace fetch``: a reference's model, ready to be loaded without a network."""

from __future__ import annotations

import click

import headrace
from headrace.cli.options import debug_option
from headrace.cli.progress import progress_bar


@click.command()
@click.argument("reference")
@debug_option
def fetch(reference: str) -> None:
    """Fetch the model that REFERENCE names, and print its path.

    `headrace backends` lists the kinds of references. A fetch that is interrupted goes on
    where it stopped, if the resolver can.
    """
    with progress_bar("Fetching", lines=True) as progress:
        path = headrace.fetch_model(reference, progress=progress)
    click.echo(path)
