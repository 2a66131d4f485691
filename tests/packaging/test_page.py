"""The server's distribution has the chat page in it, or it is not built."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="npm is a shell script here")

PAGE = "src/headrace_server/page"
NPM = """#!{python}
import sys
from pathlib import Path

with Path({log!r}).open("a") as log:
    print(*sys.argv[1:], file=log)
if sys.argv[1:] == ["run", "build"] and {works!r}:
    page = Path("../src/headrace_server/page")
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<title>built here</title>")
    (page / "licenses.md").write_text("theirs")
    (page / "assets" / "index-1.js").write_text("0")
sys.exit({code})
"""


@pytest.fixture
def sources(tmp_path) -> Path:
    """The distribution's sources without a page."""
    folder = tmp_path / "server"
    left_out = shutil.ignore_patterns("page", "node_modules", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT / "packages/server", folder, ignore=left_out)
    return folder


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts an npm of these tests on the path; returns what it was asked to do."""
    log = tmp_path / "npm.log"
    log.touch()
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(*, works: bool = True, code: int = 0):
        script = folder / "npm"
        script.write_text(NPM.format(python=sys.executable, log=str(log), works=works, code=code))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return lambda: log.read_text().splitlines()

    return put


@pytest.fixture
def no_npm(tmp_path, monkeypatch):
    """A path on which there is no npm."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))


def build(run, sources: Path, what: str):
    """Build a wheel or a source distribution as pip does: the process, and the archive."""
    code = f"from setuptools.build_meta import build_{what} as build; build('dist')"
    done = run(sys.executable, "-c", code, cwd=sources)
    made = [*(sources / "dist").glob("*")] if (sources / "dist").is_dir() else []
    return done, made[0] if made else None


def names(archive: Path) -> set[str]:
    """The files of an archive."""
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


def put_page(sources: Path) -> None:
    """A page that was built before."""
    page = sources / PAGE
    (page / "assets").mkdir(parents=True)
    for name in ("index.html", "licenses.md", "assets/index-0.js"):
        (page / name).write_text("built before")


def test_a_wheel_has_the_page_that_npm_builds(run, sources, npm):
    """From what the lock file says."""
    asked = npm()
    done, wheel = build(run, sources, "wheel")
    assert done.returncode == 0, done.stdout
    assert asked() == ["ci", "run build"]
    assert {
        "headrace_server/page/index.html",
        "headrace_server/page/licenses.md",
        "headrace_server/page/assets/index-1.js",
        "headrace_server/py.typed",
        "headrace_server/cli.py",
    } <= names(wheel)
    assert not [each for each in names(wheel) if each.startswith("web/")]


def test_a_page_that_is_there_is_taken_as_it_is(run, sources, npm):
    """Nothing is installed and built for it."""
    asked = npm()
    put_page(sources)
    done, wheel = build(run, sources, "wheel")
    assert done.returncode == 0, done.stdout
    assert asked() == []
    assert zipfile.ZipFile(wheel).read("headrace_server/page/index.html") == b"built before"


def test_a_source_distribution_brings_the_page_and_its_sources(run, sources, npm, no_npm, tmp_path):
    """So a wheel is built of it where there is no npm; what npm installs stays out."""
    put_page(sources)
    (sources / "web/node_modules/some").mkdir(parents=True)
    (sources / "web/node_modules/some/index.js").touch()
    done, archive = build(run, sources, "sdist")
    assert done.returncode == 0, done.stdout
    found = names(archive)
    assert {f"{PAGE}/index.html", f"{PAGE}/assets/index-0.js", "web/package-lock.json"} <= found
    assert not [each for each in found if "node_modules" in each]
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    done, wheel = build(run, unpacked, "wheel")
    assert done.returncode == 0, done.stdout
    assert "headrace_server/page/assets/index-0.js" in names(wheel)


@pytest.mark.parametrize("what", ["wheel", "sdist"])
def test_without_npm_and_a_page_nothing_is_built(run, sources, no_npm, what):
    """It says what to install."""
    done, archive = build(run, sources, what)
    assert done.returncode != 0
    assert "Install Node.js 20.19 or newer" in done.stdout
    assert archive is None


@pytest.mark.parametrize(
    ("npm_does", "message"),
    [
        ({"code": 3}, "`npm ci` in "),
        ({"works": False}, "npm has built no page"),
    ],
)
def test_a_build_of_the_page_that_fails_fails_the_wheel(run, sources, npm, npm_does, message):
    """Whether npm says so or not."""
    npm(**npm_does)
    done, archive = build(run, sources, "wheel")
    assert done.returncode != 0
    assert message in done.stdout
    assert archive is None


def test_an_editable_installation_needs_no_page(run, sources, no_npm):
    """Who works on the server builds it when they like."""
    code = "from setuptools.build_meta import build_editable as build; build('dist')"
    done = run(sys.executable, "-c", code, cwd=sources)
    assert done.returncode == 0, done.stdout
    assert not (sources / PAGE).exists()


def test_the_real_page_has_the_licences_of_what_is_in_it():
    """The names that the build asks for are those that the page's own build writes."""
    settings = (ROOT / "packages/server/web/vite.config.ts").read_text()
    assert "fileName: 'licenses.md'" in settings
    assert "outDir: '../src/headrace_server/page'" in settings
