"""Completion in a shell: the scripts are printed, and what they ask for is answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def ask(instruction: str, **words: str) -> str:
    """What the command line answers a script of completion."""
    ended = subprocess.run(
        [sys.executable, "-m", "headrace"],
        env={**os.environ, "_HEADRACE_COMPLETE": instruction, **words},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in ended.stderr
    return ended.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(shell):
    """It asks for ``SHELL_complete``."""
    assert f"_HEADRACE_COMPLETE={shell}_complete" in ask(f"{shell}_source")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_options_choices_and_files_are_completed(shell):
    """What a user may type next."""

    def completed(line, incomplete):
        number = incomplete if shell == "fish" else str(len(line.split(" ")) - 1)
        return ask(f"{shell}_complete", COMP_WORDS=line, COMP_CWORD=number)

    assert "quantize" in completed("headrace qu", "qu")
    assert "--save-state" in completed("headrace run --sav", "--sav")
    assert "yarn" in completed("headrace run --rope-scaling y", "y")
    assert "file" in completed("headrace run mod", "mod")
    assert "merge" in completed("headrace gguf m", "m")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.skipif(not (BIN / "headrace").exists(), reason="the script is not installed")
def test_bash_completes():
    """As the guide says, with the real shell."""
    script = (
        'eval "$(_HEADRACE_COMPLETE=bash_source headrace)"\n'
        'COMP_WORDS=(headrace tok) COMP_CWORD=1; _headrace_completion headrace; echo "$COMPREPLY"\n'
        "complete -p headrace\n"
    )
    ended = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stdout.splitlines()[0] == "tokenize"
    assert "_headrace_completion" in ended.stdout
