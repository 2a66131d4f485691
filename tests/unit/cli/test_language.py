"""Errors speak of options: everything that the library says is looked at."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import click
import pytest

from headrace.cli.app import app
from headrace.cli.language import names_of, spoken

ROOT = Path(__file__).parents[3] / "packages"
OWNERS = ("ModelParams", "EngineParams", "SamplingParams")


def commands(group=app):
    """All of them, those in groups too."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield command


def texts():
    """Each text in the packages that somebody may be told, with values left out."""
    for path in sorted(ROOT.glob("*/src/**/*.py")):
        if {"cli", "scaffold", "testing"} & set(path.relative_to(ROOT).parts):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {
            id(each)
            for node in ast.walk(tree)
            if isinstance(node, (ast.JoinedStr, ast.Expr))
            for each in (node.values if isinstance(node, ast.JoinedStr) else [node.value])
        }
        for node in ast.walk(tree):
            if id(node) in parts:
                continue
            if isinstance(node, ast.JoinedStr):
                known = (v.value if isinstance(v, ast.Constant) else "7" for v in node.values)
                yield path, "".join(known)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value


@functools.cache
def sentences():
    """Those with words."""
    return [
        (path, text)
        for path, text in texts()
        if text.count(" ") > 1 and "\n" not in text and not re.search(r"[*\\]", text)
    ]


def test_the_sweep_finds_what_it_is_to_find():
    """Or it would find nothing wrong either."""
    found = [text for _, text in sentences()]
    assert "Shorten the prompt, or raise EngineParams.n_ctx." in found
    assert len(found) > 500


@pytest.mark.parametrize("command", list(commands()), ids=lambda each: each.name)
def test_no_text_speaks_of_a_field_that_an_option_sets(command):
    """Neither ``EngineParams.n_ctx`` nor ``n_ctx=``, nor the name by itself where it is one."""
    fields = {name for each in command.params for name in names_of(each)}
    left = []
    about = re.compile("|".join(map(re.escape, fields)))
    for path, text in sentences():
        if not about.search(text):
            continue
        told = spoken(text, command)
        unquoted = re.sub(r"(?<!\w)('[^']*'|\"[^\"]*\")", "''", told)
        for name in fields:
            plain = rf"|(?<![\w./-]){name}(?![\w(])" if "_" in name else ""
            wrong = rf"(?:{'|'.join(OWNERS)})\.{name}\b|(?<![\w.-]){name}=(?=[\w'\"…]){plain}"
            if re.search(wrong, unquoted):
                left.append((path.name, told, name))
    assert left == []


def _command(name):
    return next(each for each in commands() if each.name == name)


@pytest.mark.parametrize(
    ("command", "text", "told"),
    [
        ("run", "Shorten the prompt, or raise EngineParams.n_ctx.",
         "Shorten the prompt, or raise --n-ctx."),
        ("run", "EngineParams.n_threads must be a whole number ≥ 1, or None, got 0",
         "--threads must be a whole number ≥ 1, got 0"),
        ("run", "Lower EngineParams.n_ctx, n_sequences or n_ubatch; "
         "ModelParams(check_memory=False) tries all the same.",
         "Lower --n-ctx or --n-ubatch; --no-check-memory tries all the same."),
        ("run", "Use EngineParams(cache_type_k=\"q8_0\", cache_type_v='q8_0').",
         "Use --cache-type-k q8_0 --cache-type-v q8_0."),
        ("run", "EngineParams.cache_type_v='q8_0' needs flash attention, and "
         "EngineParams.flash_attention is False",
         "--cache-type-v q8_0 needs flash attention, and --flash-attention is False"),
        ("run", "Choose one with backend=… or the variable HEADRACE_BACKEND.",
         "Choose one with --backend NAME or the variable HEADRACE_BACKEND."),
        ("run", "SamplingParams.typical_p=0.5 has no effect with mirostat=1",
         "--sampling typical_p=0.5 has no effect with --sampling mirostat=1"),
        ("run", "ModelParams.kv_overrides['a'] must be an integer",
         "--override-kv['a'] must be an integer"),
        ("run", "load_model's reference is empty", "MODEL is empty"),
        ("run", "max_tokens must be a whole number ≥ 0 or None, got -1",
         "--max-tokens must be a whole number ≥ 0, got -1"),
        ("embed", "Raise n_ubatch, n_batch and n_ctx of EngineParams (now 512), split the text, "
         "or pass truncate=True.",
         "Raise --n-ubatch, --n-batch and --n-ctx (now 512), split the text, or pass --truncate."),
        ("embed", "Pass pooling='mean' or 'last'.", "Pass --pooling mean or 'last'."),
        ("embed", "or pass normalize=False", "or pass --no-normalize"),
        ("quantize", "or pass allow_requantize=True, or overwrite=True",
         "or pass --allow-requantize, or --force"),
        ("split", "max_bytes must be a whole number ≥ 1, got 0",
         "--max-size must be a whole number ≥ 1, got 0"),
        ("fetch", "fetch_model's reference must begin with a scheme",
         "REFERENCE must begin with a scheme"),
        ("chat", "Leave out template=, or load a model of another backend.",
         "Leave out --template, or load a model of another backend."),
        # What somebody named stays as it is, and a word is a word.
        ("run", "there is no model file at 'n_ctx=3/max_tokens'",
         "there is no model file at 'n_ctx=3/max_tokens'"),
        ("run", "the model's stop token and the backend's seed",
         "the model's stop token and the backend's seed"),
        ("run", "llama.cpp says n_ctx_per_seq (4096)", "llama.cpp says n_ctx_per_seq (4096)"),
        ("run", "EngineParams.n_threads_batch must be 1", "EngineParams.n_threads_batch must be 1"),
    ],
)  # fmt: skip
def test_what_is_said(command, text, told):
    """In the words of the command that was typed."""
    assert spoken(text, _command(command)) == told


def test_an_error_of_the_command_line_is_told_with_options(call):
    """From the core to the terminal."""
    ended = call("run", "fake:#memory=2000000", "hi")
    assert "hint: Lower --n-ctx or raise FakeOptions.memory; --no-check-memory tries" in ended.err
    assert "--threads must be" in call("run", "fake:x", "hi", "--threads", "0").err
    assert "--sampling has no parameter 'x'" in call("run", "fake:", "hi", "--sampling", "x=1").err
