"""The JSON-Schema-Test-Suite, as the source distribution of ``jsonschema`` carries it.

It is fetched with pip once, and kept in headrace's cache.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from referencing import Registry, Resource

from native_build.scratch import scratch_folder
from native_build.settings import Settings

VERSION = "4.26.0"
_HASH = "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"

DRAFTS = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
"""What each folder's schemas are written in."""
_HOST = "http://localhost:1234/"


@attrs.frozen
class Case:
    """A schema and its instances."""

    name: str
    """File and description."""
    schema: Any
    """With ``$schema``, where it is an object."""
    tests: tuple[tuple[str, Any, bool], ...]
    """Description, instance, and whether it is valid."""


@functools.cache
def folder() -> Path:
    """Where ``tests`` and ``remotes`` are."""
    cache_dir = Settings.from_environment().cache_dir
    kept = cache_dir / "json-schema-suite" / VERSION
    if not kept.is_dir():
        _fetch(cache_dir, kept)
    return kept


def cases(draft: str) -> Iterator[Case]:
    """All of a draft, the optional ones too."""
    top = folder() / "tests" / draft
    for path in sorted(top.rglob("*.json")):
        file = path.relative_to(top).with_suffix("").as_posix()
        for case in json.loads(path.read_text(encoding="utf-8")):
            schema = case["schema"]
            if isinstance(schema, dict):
                schema = {"$schema": DRAFTS[draft], **schema}
            tests = tuple(
                (each["description"], each["data"], each["valid"]) for each in case["tests"]
            )
            yield Case(f"{file}: {case['description']}", schema, tests)


@functools.cache
def registry() -> Registry[Any]:
    """The schemas that others refer to, by their addresses."""
    from referencing.jsonschema import DRAFT202012

    top = folder() / "remotes"
    found = Registry()
    for path in sorted(top.rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        resource = Resource.from_contents(content, default_specification=DRAFT202012)
        found = found.with_resource(_HOST + path.relative_to(top).as_posix(), resource)
    return found


def _fetch(cache_dir: Path, kept: Path) -> None:
    with scratch_folder(cache_dir) as scratch:
        wanted = scratch / "requirements.txt"
        wanted.write_text(f"jsonschema=={VERSION} --hash=sha256:{_HASH}\n")
        how = ["--no-deps", "--no-binary", "jsonschema", "--require-hashes", "--quiet"]
        command = [sys.executable, "-m", "pip", "download", *how, "-r", str(wanted)]
        subprocess.run([*command, "-d", str(scratch / "download")], check=True)
        _unpack(next((scratch / "download").iterdir()), scratch / "suite")
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            (scratch / "suite").rename(kept)
        except OSError:
            if not kept.is_dir():  # else another test run was quicker
                raise


def _unpack(archive: Path, target: Path) -> None:
    """The files below ``json/tests`` and ``json/remotes``."""
    with tarfile.open(archive) as tar:
        for member in tar:
            _, _, path = member.name.partition("/json/")
            if not member.isfile() or not path.startswith(("tests/", "remotes/")) or ".." in path:
                continue
            content = tar.extractfile(member)
            assert content is not None
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(content.read())
