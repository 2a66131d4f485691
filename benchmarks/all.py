"""Every comparison in one run: ``tox -e bench``.

The native programs are built and the peers installed into the cache (once, some minutes), or
named with ``--native``, ``--llama-cpp-python`` and ``--xllamacpp``. What each script prints goes to
the output folder beside its figures as JSON and its pictures; with ``--page`` also into the marked
places of ``docs/performance.md``, with the command that makes it again.

    python benchmarks/all.py [MODEL] [--only NAME …] [--quick] [--page] [--output build/bench]

Without MODEL it is Gemma 3 270M, fetched once. The default takes some twenty minutes; ``--quick``,
which measures less and less often, some five. Nothing else should work the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from side_by_side import page, reports
from side_by_side.peers import python_of
from side_by_side.programs import programs

from headrace.cli.demo_model import model_path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "performance.md"


@dataclass(frozen=True)
class Part:
    """A script and how it is called.

    Attributes:
        script: In this folder, without ``.py``; the name of its place in the page, too.
        arguments: Words with ``MODEL``, ``PROGRAMS``, ``LLAMA_CPP_PYTHON`` and ``XLLAMACPP`` for
            what differs between machines.
        quick: More arguments for ``--quick``.
        writes: Whether it takes ``--json``.
        draws: Whether it takes ``--plot``.
    """

    script: str
    arguments: str = "MODEL"
    quick: str = ""
    writes: bool = True
    draws: bool = False


PARTS = (
    Part("overhead", "--native PROGRAMS --rounds 5", "--rounds 2 --tokens 256"),
    Part(
        "busy",
        "MODEL --native PROGRAMS --llama-cpp-python LLAMA_CPP_PYTHON --rounds 2 --seconds 1.2",
        "--others 0 4 --rounds 1",
        draws=True,
    ),
    Part(
        "runtimes",
        "MODEL --native PROGRAMS --llama-cpp-python LLAMA_CPP_PYTHON --xllamacpp XLLAMACPP "
        "--rounds 2",
        "--rounds 1 --long-rounds 0 --streams 8",
        draws=True,
    ),
    Part(
        "server_side_by_side",
        "MODEL --native PROGRAMS --streams 1 4 16 32",
        "--streams 1 16 --prompts short --rounds 1",
    ),
    Part("startup", "MODEL --peer LLAMA_CPP_PYTHON --rounds 7", "--rounds 2", writes=False),
    Part("embedding", "--rounds 3", "--rounds 1 --texts 64", writes=False),
    Part("speculation", "MODEL --rounds 2", "--rounds 1 --tokens 32", writes=False),
    Part("first_token", quick="--rounds 1"),
    Part("cancel_latency", "MODEL --native PROGRAMS --samples 15", "--samples 4"),
    Part("slow_reader", quick="--tokens 100"),
    Part("loading", quick="--rounds 1"),
    Part("bandwidth", quick="--rounds 2"),
)


def words(part: Part, *, quick: bool) -> list[str]:
    """The arguments of a script, on any machine."""
    return f"{part.arguments} {part.quick if quick else ''}".split()


def run(part: Part, arguments: argparse.Namespace, places: dict[str, str]) -> str | None:
    """What a script prints; None if it failed, which is told on stderr."""
    command = [sys.executable, str(HERE / f"{part.script}.py")]
    command += [places.get(word, word) for word in words(part, quick=arguments.quick)]
    if part.writes:
        command += ["--json", str(arguments.output / f"{part.script}.json")]
    if part.draws:
        command += ["--plot", str(arguments.output)]
    # Its progress goes to the terminal.
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        print(f"bench: {part.script} failed ({done.returncode})", file=sys.stderr)
        return None
    (arguments.output / f"{part.script}.txt").write_text(done.stdout, encoding="utf-8")
    return done.stdout.strip()


def gather(output: Path) -> None:
    """One file with the figures of all scripts."""
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(output.glob("*.json"))
        if path.stem != "all"
    }
    reports.write(output / "all.json", "all", parts=found)


def update_page(part: Part, printed: str, arguments: argparse.Namespace) -> None:
    """Put what a script printed, and its pictures, into the documentation."""
    script = f"benchmarks/{part.script}.py"
    command = " ".join(["python", script, *words(part, quick=arguments.quick)])
    pictures = sorted(arguments.output.glob(f"{part.script}-*.svg")) if part.draws else []
    page.fill(PAGE, part.script, command, printed, pictures)


def places(arguments: argparse.Namespace, chosen: list[Part]) -> dict[str, str]:
    """What the words of the arguments stand for; builds and installs what is needed."""
    needed = {word for part in chosen for word in part.arguments.split()}
    found = {"MODEL": arguments.model or str(model_path())}
    if "PROGRAMS" in needed:
        found["PROGRAMS"] = str(arguments.native or programs())
    if "LLAMA_CPP_PYTHON" in needed:
        found["LLAMA_CPP_PYTHON"] = arguments.llama_cpp_python or python_of("llama-cpp-python")
    if "XLLAMACPP" in needed:
        found["XLLAMACPP"] = arguments.xllamacpp or python_of("xllamacpp")
    return found


def main() -> int:
    """Run them all; 1 if one failed."""
    names = [part.script for part in PARTS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", help="a file; Gemma 3 270M by default")
    parser.add_argument("--only", nargs="*", choices=names, metavar="NAME", help=" ".join(names))
    parser.add_argument("--quick", action="store_true", help="less, and less often")
    parser.add_argument("--page", action="store_true", help="write docs/performance.md")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--native", help="folder of the native programs, instead of building them")
    parser.add_argument("--llama-cpp-python", metavar="PYTHON", help="instead of installing it")
    parser.add_argument("--xllamacpp", metavar="PYTHON", help="instead of installing it")
    arguments = parser.parse_args()
    wanted = arguments.only or names
    chosen = [part for part in PARTS if part.script in wanted]
    known = places(arguments, chosen)
    arguments.output.mkdir(parents=True, exist_ok=True)
    failed = 0
    for number, part in enumerate(chosen, 1):
        began = time.monotonic()
        print(f"bench: [{number}/{len(chosen)}] {part.script} …", file=sys.stderr, flush=True)
        printed = run(part, arguments, known)
        failed += printed is None
        if printed is not None:
            print(f"\n## {part.script}\n\n{printed}\n", flush=True)
            if arguments.page:
                update_page(part, printed, arguments)
        taken = time.monotonic() - began
        print(f"bench: {part.script} took {taken:.0f} s", file=sys.stderr, flush=True)
    gather(arguments.output)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
