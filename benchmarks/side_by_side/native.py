"""llama.cpp's own programs, as they come: with OpenMP, without headrace's settings or patches."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ATTEMPTS = 5
"""llama-batched-bench writes through a log that is at times cut off at its end; so a test of one
token follows those that count, and what is lost nevertheless is measured again."""


@dataclass(frozen=True)
class Ended:
    """A program that has ended.

    Attributes:
        output: What it wrote to stdout.
        cpu_seconds: What the processors worked for it, loading included.
    """

    output: str
    cpu_seconds: float


class Native:
    """The programs of one folder.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, program: str, *arguments: object) -> Ended:
        """Run one to its end.

        Raises:
            RuntimeError: It failed; with what it wrote.
        """
        command = [str(self.folder / program), *map(str, arguments)]
        with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(command, stdout=output, stderr=errors)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                errors.seek(0)
                raise RuntimeError(f"{program} failed: {errors.read()[-2000:]}")
            output.seek(0)
            return Ended(output.read(), used.ru_utime + used.ru_stime)

    def bench(self, model: str, *arguments: object) -> tuple[list[dict[str, Any]], float]:
        """llama-bench.

        Args:
            model: The model's file.
            *arguments: Such as ``"-p", 0, "-n", 128``.

        Returns:
            An entry for each test, and the CPU seconds of all of it.
        """
        ended = self.run("llama-bench", "-m", model, *arguments, "-o", "json")
        return json.loads(ended.output), ended.cpu_seconds

    def batched_bench(
        self, model: str, streams: Sequence[int], prompt: int, new: int, *arguments: object
    ) -> tuple[list[dict[str, Any]], float]:
        """llama-batched-bench.

        Args:
            model: The model's file.
            streams: Numbers of sequences.
            prompt: Tokens of each one's prompt.
            new: Tokens that each decodes.
            *arguments: More.

        Returns:
            An entry for each number of sequences, and the CPU seconds of all of it.
        """
        for _ in range(_ATTEMPTS):
            ended = self.run(
                "llama-batched-bench", "-m", model, "-npp", prompt, "-ntg", f"{new},1",
                "-npl", ",".join(map(str, streams)), "--output-format", "jsonl", *arguments,
            )  # fmt: skip
            lines = [line for line in ended.output.splitlines() if line.startswith("{")]
            if len(lines) >= len(streams):
                return [json.loads(line) for line in lines[: len(streams)]], ended.cpu_seconds
        raise RuntimeError(f"llama-batched-bench told nothing of some of {streams}")
