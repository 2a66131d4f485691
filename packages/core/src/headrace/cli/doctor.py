"""``headrace doctor``: everything that a bug report should say, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

import headrace
from headrace.cli.limits import time_limit
from headrace.cli.load import with_options
from headrace.cli.model_options import isolation_option
from headrace.cli.options import FILE, debug_option, json_option, timeout_option
from headrace.cli.report import binary_size, one_line, size
from headrace.cli.settings import Settings, timeout
from headrace.cli.texts import write_json
from headrace.common.quotes import in_brief

BROKEN = 1


@click.command()
@click.option("--model", type=FILE, metavar="MODEL", help="Try this model: a path or a reference.")
@click.option("--no-self-test", is_flag=True, help="Load nothing.")
@isolation_option
@timeout_option
@json_option
@debug_option
@click.pass_context
def doctor(context: click.Context, model: str | None, no_self_test: bool, as_json: bool) -> None:
    """Look at the whole installation, and say what is wrong and what to do.

    What backends can load without a file is tried, and MODEL if one is named.

    The output can be pasted into a bug report: it has no secrets, and ~ for the home folder. With
    --debug it has the tracebacks of what failed. Exit code 1 if something is broken.
    """
    params, _ = with_options()
    with time_limit(timeout(), "the diagnosis"):
        found = headrace.diagnose(model=model, self_test=not no_self_test, params=params)
    values = found.as_dict()
    if as_json:
        write_json(values)
    else:
        debug = context.ensure_object(Settings).debug
        click.echo("\n".join(_lines(values, tracebacks=debug)))
    if not found.ok:
        context.exit(BROKEN)


def _lines(found: dict[str, Any], *, tracebacks: bool) -> Iterator[str]:
    yield f"headrace {found['headrace']}"
    yield f"python     {found['python']}"
    yield f"platform   {found['platform']}"
    yield f"processor  {found['cpu'] or 'unknown'}, {found['cpus']} usable"
    yield f"           {' '.join(found['cpu_features']) or 'features unknown'}"
    free, total = found["memory_available"], found["memory_total"]
    yield f"memory     {_amount(free)} of {_amount(total)} free"
    yield from _section("limits", (f"{key}: {each}" for key, each in found["limits"].items()))
    yield from _section(
        "distributions", (f"{key} {each}" for key, each in found["distributions"].items())
    )
    yield from _section(
        "environment", (f"{key}={one_line(each)}" for key, each in found["environment"].items())
    )
    yield from _section("backends", _backends(found["backends"]))
    yield from _section("devices", (_device(each) for each in found["devices"]))
    yield from _section(
        "plugins",
        (f"{each['kind']} {each['name']}  ({each['distribution']})" for each in found["plugins"]),
    )
    yield from _section(
        "caches",
        (
            f"{each['path']}  {each['files']} files, {size(each['size'])}"
            for each in found["caches"]
        ),
    )
    yield from _section("self-tests", (_test(each) for each in found["self_tests"]))
    yield ""
    yield from _findings(found["findings"], tracebacks=tracebacks)


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield f"\n{title}"
    empty = True
    for line in lines:
        empty = False
        yield f"  {line}"
    if empty:
        yield "  none"


def _backends(backends: list[dict[str, Any]]) -> Iterator[str]:
    for each in backends:
        yield f"{each['name']} {each['version']}  ({each['distribution']})"
        if each["library"]:
            yield f"    library: {in_brief(each['library'])}"
        system = each["system"] or {}
        for label, key in (
            ("build", "build"),
            ("compiler", "compiler"),
            ("options", "options"),
            ("kernels", "kernels"),
            ("libraries", "libraries"),
        ):
            value = system.get(key)
            if value:
                yield f"    {label}: {value if isinstance(value, str) else ' '.join(value)}"


def _device(device: dict[str, Any]) -> str:
    free, total = device["memory_free"], device["memory_total"]
    memory = "" if total is None else f", {_amount(free)} of {_amount(total)} free"
    return (
        f"{device['name']}  {device['kind']}, {device['backend']}: {device['description']}{memory}"
    )


def _test(test: dict[str, Any]) -> str:
    passed = "passed" if test["passed"] else "FAILED"
    return f"{passed}  {test['reference']}: {test['told']} ({test['seconds']:.2f} s)"


def _findings(findings: list[dict[str, Any]], *, tracebacks: bool) -> Iterator[str]:
    if not findings:
        yield "Nothing is wrong."
        return
    for each in findings:
        told = one_line if tracebacks else in_brief
        yield f"{each['severity'].upper()}: {in_brief(each['about'])}: {told(each['message'])}"
        yield f"  {told(each['remedy'])}"
        if tracebacks and each["traceback"]:
            yield from (f"    {line}" for line in each["traceback"].splitlines())


def _amount(n_bytes: int | None) -> str:
    return "unknown" if n_bytes is None else binary_size(n_bytes)
