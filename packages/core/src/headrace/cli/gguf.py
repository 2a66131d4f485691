"""``headrace gguf`` and ``headrace quantize``: work on model files."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Any

import attrs
import click

import headrace
from headrace.cli.group import Group
from headrace.cli.model_options import threads_option
from headrace.cli.options import FILE, Option, backend_option, debug_option, json_option
from headrace.cli.progress import progress_bar
from headrace.cli.report import shortened, size
from headrace.cli.settings import settings
from headrace.cli.sizes import number_of_bytes
from headrace.cli.texts import write_json

_ELEMENTS = 5
"""Elements of an array that are shown."""

force_option = click.option(
    "--force",
    cls=Option,
    names=("overwrite",),
    is_flag=True,
    help="Replace TARGET if it is there.",
)


@click.command()
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.argument("type")
@threads_option
@click.option(
    "--allow-requantize", is_flag=True, help="Quantize what is quantized already: quality suffers."
)
@click.option("--keep-output", is_flag=True, help="Leave the output tensor as it is.")
@click.option("--pure", is_flag=True, help="The same type for every tensor.")
@force_option
@backend_option
@debug_option
def quantize(
    source: str,
    target: str,
    type: str,
    allow_requantize: bool,
    keep_output: bool,
    pure: bool,
    force: bool,
) -> None:
    """Write a copy of SOURCE with weights of TYPE, such as Q4_K_M, to TARGET."""
    with progress_bar("Quantizing", lines=True) as progress:
        written = headrace.quantize_model(
            source,
            target,
            type,
            backend=settings().backend,
            n_threads=settings().engine.get("n_threads"),
            allow_requantize=allow_requantize,
            keep_output=keep_output,
            pure=pure,
            overwrite=force,
            progress=progress,
        )
    before, after = os.path.getsize(source), os.path.getsize(written)
    click.echo(f"{written}: {size(after)}, was {size(before)}")


@click.group(cls=Group)
def gguf() -> None:
    """Look into GGUF files, split them, merge them."""


@gguf.command()
@click.argument("model", type=FILE)
@click.option("--tensors", is_flag=True, help="List the tensors too.")
@backend_option
@json_option
@debug_option
def show(model: str, tensors: bool, as_json: bool) -> None:
    """Show the metadata of MODEL, whether or not it can be loaded."""
    found = headrace.inspect_file(model, backend=settings().backend)
    if as_json:
        value = attrs.asdict(found)
        write_json(value if tensors else {k: v for k, v in value.items() if k != "tensors"})
        return
    click.echo(f"{found.format}, {len(found.tensors)} tensors, {size(found.size_bytes)}")
    for key, each in found.metadata.items():
        click.echo(f"    {key}: {_shown(each)}")
    if tensors:
        width = max((len(tensor.name) for tensor in found.tensors), default=0)
        for tensor in found.tensors:
            shape = " x ".join(map(str, tensor.shape))
            click.echo(f"    {tensor.name:<{width}}  {tensor.type:<6} {shape}")


@gguf.command()
@click.argument("source", type=FILE)
@click.argument("prefix", required=False)
@click.option(
    "--max-size",
    cls=Option,
    names=("max_bytes",),
    metavar="SIZE",
    help="Most bytes in a shard, such as 2G or 500M.",
)
@click.option("--max-tensors", type=int, metavar="N", help="Most tensors in a shard.")
@backend_option
@debug_option
def split(
    source: str,
    prefix: str | None,
    max_size: str | None,
    max_tensors: int | None,
) -> None:
    """Write SOURCE as shards PREFIX-00001-of-0000N.gguf  [default: SOURCE without .gguf]."""
    with progress_bar("Splitting", lines=True) as progress:
        shards = headrace.split_model(
            source,
            prefix or re.sub(r"\.gguf$", "", source, flags=re.IGNORECASE),
            max_bytes=None if max_size is None else number_of_bytes("--max-size", max_size),
            max_tensors=max_tensors,
            backend=settings().backend,
            progress=progress,
        )
    for shard in shards:
        click.echo(f"{shard}: {size(os.path.getsize(shard))}")


@gguf.command()
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@force_option
@backend_option
@debug_option
def merge(source: str, target: str, force: bool) -> None:
    """Write the shards of which SOURCE is the first as one file, TARGET."""
    with progress_bar("Merging", lines=True) as progress:
        written = headrace.merge_model(
            source, target, backend=settings().backend, overwrite=force, progress=progress
        )
    click.echo(f"{written}: {size(Path(written).stat().st_size)}")


def _shown(value: Any) -> str:
    """One line of a value, which may be an array of hundreds of thousands."""
    if not isinstance(value, list):
        return shortened(value)
    first = ", ".join(shortened(each) for each in itertools.islice(value, _ELEMENTS))
    more = ", …" if len(value) > _ELEMENTS else ""
    return shortened(f"{len(value):,} × [{first}{more}]")
