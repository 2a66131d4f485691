"""What it takes to begin: importing, loading, the first token, the command line.

    python benchmarks/startup.py [MODEL] [--rounds N] [--threads N] [--peer PYTHON]

Each figure is of a process of its own, one of each kind a round, in turns. What ``import`` and the
command line cost is processor time, user and system together, less that of an empty interpreter;
what follows in the process is time of the clock. Bytecode is written in a round that does not
count. Without MODEL: the fake, which computes nothing. With the Python of an environment that has
llama-cpp-python, that is imported, and loads the model, beside headrace.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

NOTING = """
import json, sys, time
began = time.perf_counter()
times = {}
def note(name):
    global began
    times[name] = 1e3 * (time.perf_counter() - began)
    began = time.perf_counter()
"""
TELLING = """
times["modules"] = len(sys.modules)
print(json.dumps(times))
"""
HEADRACE = """
import headrace
note("import")
model = headrace.load_model(sys.argv[1], engine=headrace.EngineParams(n_threads=int(sys.argv[2])))
note("load")
session = model.open_session()
note("open")
next(session.generate("Once upon a time", max_tokens=4))
note("first token")
session = model.open_session()
note("open again")
next(session.generate("Once upon a time", max_tokens=4))
note("first token again")
"""
PEER = """
import llama_cpp
note("import")
model = llama_cpp.Llama(sys.argv[1], n_threads=int(sys.argv[2]), verbose=False)
note("load")
next(model("Once upon a time", max_tokens=4, stream=True))
note("first token")
"""


def run(command: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """Milliseconds of the processor that a process takes, and what it prints.

    Raises:
        SystemExit: If it fails.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{command} ended with {process.returncode}")
        output.seek(0)
        return 1e3 * (usage.ru_utime + usage.ru_stime), output.read().decode()


def commands(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """What is run, by the name of its figures."""
    model = [arguments.model, str(arguments.threads)]
    headrace = [sys.executable, "-m", "headrace"]
    found = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import attrs": [sys.executable, "-c", "import attrs"],
        "import headrace": [sys.executable, "-c", "import headrace"],
        "a first token": [sys.executable, "-c", NOTING + HEADRACE + TELLING, *model],
        "headrace --version": [*headrace, "--version"],
        "headrace --help": [*headrace, "--help"],
        "headrace run --help": [*headrace, "run", "--help"],
        "headrace run": [
            *headrace,
            "run",
            arguments.model,
            "Once",
            "-n",
            "2",
            "-q",
            "--threads",
            "1",
        ],
    }
    if arguments.peer:
        found["import llama_cpp"] = [arguments.peer, "-c", "import llama_cpp"]
        if os.path.exists(arguments.model):
            found["a first token of llama-cpp-python"] = [
                arguments.peer,
                "-c",
                NOTING + PEER + TELLING,
                *model,
            ]
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="fake:echo")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peer", metavar="PYTHON", help="of an environment of llama-cpp-python")
    arguments = parser.parse_args()
    kinds = commands(arguments)
    costs: dict[str, list[float]] = {name: [] for name in kinds}
    stages: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for round_ in range(arguments.rounds + 1):
            for name, command in kinds.items():
                cost, output = run(command, environment)
                if round_ == 0:
                    continue
                costs[name].append(cost)
                if name.startswith("a first token"):
                    for stage, value in json.loads(output).items():
                        stages.setdefault(name, {}).setdefault(stage, []).append(value)
    empty = statistics.median(costs["python -c pass"])
    print(f"processor, ms ({arguments.rounds} rounds)         median   least   beyond python")
    for name, each in costs.items():
        median = statistics.median(each)
        print(f"{name:36} {median:9.1f} {min(each):7.1f} {median - empty:15.1f}")
    for name, found in stages.items():
        print(f"{name}: clock, ms")
        for stage, each in found.items():
            print(f"    {stage:32} {statistics.median(each):9.1f} {min(each):7.1f}")


if __name__ == "__main__":
    main()
