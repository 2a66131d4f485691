"""The build of the server's distribution: the chat page goes into it, or it fails.

The page's sources are in ``web``; npm builds them into ``src/headrace_server/page``. What lies
there already is taken as it is: a source distribution brings it, so that installing one needs no
Node.js. An editable installation does without: the server then says how the page is built.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
WEB = HERE / "web"
PAGE = HERE / "src" / "headrace_server" / "page"
NEEDED = ("index.html", "licenses.md")
"""What no built page lacks."""


def built() -> bool:
    """Whether the page is there."""
    return all((PAGE / name).is_file() for name in NEEDED)


def build_page() -> None:
    """Build the page unless it is there."""
    if built():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "headrace-server: the chat page has to be built, and there is no npm.\n"
            "Install Node.js 20.19 or newer, or install a released headrace-server, which has the "
            "page in it."
        )
    for step in (["ci"], ["run", "build"]):
        done = subprocess.run([npm, *step], cwd=WEB, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise SystemExit(
                f"headrace-server: the chat page cannot be built: `npm {' '.join(step)}` in {WEB} "
                f"ended with {done.returncode}; what it wrote above says why."
            )
    if not built():
        raise SystemExit(
            f"headrace-server: npm has built no page: {PAGE} lacks one of {', '.join(NEEDED)}."
        )


class BuildWithPage(build_py):
    """Copies the modules, and the page with them."""

    def run(self) -> None:
        """Build the page first; an editable installation takes what is there."""
        if not self.editable_mode:
            build_page()
        super().run()


class SourcesWithPage(sdist):
    """Packs the sources, and the page as it was built."""

    def run(self) -> None:
        """Build the page first."""
        build_page()
        super().run()


setup(cmdclass={"build_py": BuildWithPage, "sdist": SourcesWithPage})
