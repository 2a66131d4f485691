"""Attention on the CPU, which passes over what a row does not see."""

from __future__ import annotations

import subprocess

from tests.integration.programs import compile_program

ROUNDING = 0.004
"""Sums are kept in half precision where there are few rows: elements below one, in ten bits."""


def test_it_is_what_the_formula_says(tmp_path):
    """However rows and cells of several sequences lie, with each of its options."""
    program = compile_program("reference_attention.cpp", tmp_path, libraries=["ggml-cpu"])
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    differences = dict(line.split("\t") for line in done.stdout.splitlines())
    assert len(differences) == 40
    wrong = {name: text for name, text in differences.items() if not float(text) < ROUNDING}
    assert not wrong
