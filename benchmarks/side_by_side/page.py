"""The figures' places in ``docs/performance.md``: between two marks, by name."""

from __future__ import annotations

import html
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path


def fill(page: Path, name: str, command: str, printed: str, pictures: Iterable[Path] = ()) -> None:
    """Replace what stands in a place.

    Args:
        page: Its file; pictures go into ``pictures`` beside it.
        name: The place's.
        command: What makes the figures again.
        printed: What it printed: tables, or plain text.
        pictures: SVG files that belong to it.

    Raises:
        ValueError: The page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not place.search(text):
        raise ValueError(f"{page} has no place for the figures of {name}")
    made = f"`{command}`, {time.strftime('%Y-%m-%d', time.gmtime())}:"
    parts = [made, _readable(printed), *(_shown(each, page.parent) for each in pictures)]
    inside = "\n" + "\n\n".join(parts) + "\n\n"
    page.write_text(place.sub(lambda found: found[1] + inside + found[2], text), encoding="utf-8")


def _readable(printed: str) -> str:
    """Tables as they are; anything else as it was typed."""
    is_table = any(line.startswith("|") for line in printed.splitlines())
    return printed if is_table else f"```text\n{printed}\n```"


def _shown(picture: Path, folder: Path) -> str:
    """Copy a picture to its place; what shows it there, with its title in words."""
    (folder / "pictures").mkdir(exist_ok=True)
    shutil.copy2(picture, folder / "pictures" / picture.name)
    title = re.search(r"<title>(.*?)</title>", picture.read_text(encoding="utf-8"))
    words = html.unescape(title[1]) if title else picture.stem
    return f"![{words}](pictures/{picture.name})"
