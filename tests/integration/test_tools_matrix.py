"""The page of templates and tools says what is so."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import headrace
from headrace import ModelParams
from tests.support import chat_templates, tiny_gguf

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tools_matrix.py"
SOME = (
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen3-Coder",
    "google-gemma-2-2b-it",
    "openai-gpt-oss-120b",
    "Kimi-K2-Instruct",
)


@pytest.fixture(scope="module")
def matrix():
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("tools_matrix", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(matrix):
    """The page's rows by template."""
    lines = matrix.PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return {name: tuple(cells) for name, *cells in rows}


def test_every_template_has_a_row(written):
    """Also a new one."""
    assert set(chat_templates.names()) <= set(written)


@pytest.mark.parametrize("name", SOME)
def test_a_row_is_what_is_found(matrix, written, name):
    """As the command finds it now."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        assert matrix.found(model, name) == written[name]
