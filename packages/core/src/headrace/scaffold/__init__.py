"""A backend project to begin with: ``headrace new-backend`` writes it.

The project is complete and passes the conformance kit: a toy stands where the
author's library is to go. Its files are those of ``template``, with the names
put in; those of ``service`` take their place where a remote service is to be asked.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from headrace.errors import ParamsError

if TYPE_CHECKING:
    from importlib.abc import Traversable

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST_NAME = 40
_SUFFIX = ".tmpl"
_HIDDEN = ("gitignore",)
"""Files whose names begin with a dot, which packaging tools like to leave out."""


_SHARED = frozenset(
    {
        ("LICENSE.tmpl",),
        ("gitignore.tmpl",),
        ("pyproject.toml.tmpl",),
        ("tox.ini.tmpl",),
        ("src", "package", "__init__.py.tmpl"),
        ("src", "package", "plugin.py.tmpl"),
        ("src", "package", "py.typed.tmpl"),
    }
)
"""Files of ``template`` that a project for a service has, too."""


def new_backend(
    name: str, directory: str | os.PathLike[str] | None = None, *, service: bool = False
) -> Path:
    """Write a new backend project.

    Args:
        name: Of the backend, as in ``load_model(backend=…)``: lower-case letters, digits, ``-``
            and ``_`` between them.
        directory: Where to; it must not exist. None: ``headrace-NAME`` in the current one.
        service: Whether it asks a remote service, and runs no library.

    Returns:
        The directory.

    Raises:
        ParamsError: If the name cannot be one or is taken, if the directory exists, or if it
            cannot be written.
    """
    values = _values(name)
    target = Path(directory if directory is not None else values["distribution"])
    if os.path.lexists(target):
        raise ParamsError(
            f"{str(target)!r} exists already, and nothing is overwritten",
            hint="Choose another directory, or remove that one.",
        )
    try:
        _write_whole(target, values, service)
    except OSError as error:
        raise ParamsError(
            f"the project cannot be written to {str(target)!r}: {error.strerror or error}",
            hint="Choose a directory whose parent exists and can be written to.",
        ) from error
    return target


def _values(name: str) -> dict[str, str]:
    """What the template's placeholders stand for."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ParamsError(
            f"a backend's name is made of lower-case letters, digits, '-' and '_' between them, "
            f"begins with a letter and has at most {_LONGEST_NAME} characters; got {name!r}",
            hint="For example: new-backend my-library.",
        )
    _refuse_taken(name)
    # Imported here: the package imports this module's command.
    from headrace import __version__

    words = re.split("[-_]", name)
    major, minor = __version__.split(".")[:2]
    return {
        "name": name,
        "distribution": f"headrace-{'-'.join(words)}",
        "package": f"headrace_{'_'.join(words)}",
        "variable": "_".join(words).upper(),
        "title": "".join(word.capitalize() for word in words),
        # Protocols may change with each minor version: pip then keeps the two together.
        "headrace_versions": f">={major}.{minor},<{major}.{int(minor) + 1}",
    }


def _refuse_taken(name: str) -> None:
    from headrace.backend.plugins import discover

    for each in discover().backends:
        if each.name == name:
            raise ParamsError(
                f"there is a backend {name!r} already, of {each.distribution or each.plugin}",
                hint="Two backends of one name cannot be installed together: choose another.",
            )


def _write_whole(target: Path, values: dict[str, str], service: bool) -> None:
    """All of the project or nothing: it is written beside the target, and then renamed."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for path, text in _rendered(values, service):
            file = temporary / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        # mkdtemp's directory is for its owner only.
        temporary.chmod(0o777 & ~_umask())
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _rendered(values: dict[str, str], service: bool) -> Iterator[tuple[Path, str]]:
    """The project's files, as path and text."""
    for parts, source in _sources(service):
        names = [values["package"] if part == "package" else part for part in parts]
        last = names[-1].removesuffix(_SUFFIX)
        names[-1] = f".{last}" if last in _HIDDEN else last
        text = Template(source.read_text(encoding="utf-8"))
        yield Path(*names), text.substitute(values)


def _sources(service: bool) -> Iterator[tuple[tuple[str, ...], Traversable]]:
    here = resources.files(__name__)
    for parts, source in _walk(here / "template"):
        if not service or parts in _SHARED:
            yield parts, source
    if service:
        yield from _walk(here / "service")


def _walk(folder: Traversable, *above: str) -> Iterator[tuple[tuple[str, ...], Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            yield from _walk(entry, *above, entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield (*above, entry.name), entry
