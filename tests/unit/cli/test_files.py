"""``headrace quantize`` and ``gguf``: what they pass on, and what they show."""

from __future__ import annotations

from pathlib import Path

import pytest

import headrace


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Calls of the library's functions, which only note what they get."""
    calls = []

    def note(name, result):
        def function(*arguments, **options):
            calls.append((name, arguments, options))
            options.get("progress", lambda done: None)(1.0)
            return result

        monkeypatch.setattr(headrace, name, function)

    written = tmp_path / "written"
    written.write_bytes(bytes(2000))
    note("quantize_model", written)
    note("split_model", [written, written])
    note("merge_model", written)
    note("inspect_file", _info())
    return calls


def _info():
    metadata = {"general.name": "tiny", "tokens": [str(number) for number in range(900)]}
    tensors = (headrace.TensorInfo("weights", (64, 2), "f32", 512),)
    return headrace.FileInfo(Path("model.gguf"), "GGUF 3", metadata, tensors)


def test_quantize_passes_its_options_on(call, asked, tmp_path):
    """And shows both sizes."""
    source = tmp_path / "big"
    source.write_bytes(bytes(9000))
    ended = call(
        "quantize", str(source), "small", "q4_k_m", "--threads", "2", "--allow-requantize", "--pure"
    )
    assert ended.code == 0
    assert "2.0 kB, was 9.0 kB" in ended.out
    ((_, arguments, options),) = asked
    assert arguments == (str(source), "small", "q4_k_m")
    assert options["n_threads"] == 2
    assert options["allow_requantize"]
    assert options["pure"]
    assert not options["overwrite"]


@pytest.mark.parametrize(
    ("text", "number"), [("100", 100), ("5k", 5000), ("500M", 500 * 10**6), ("2GB", 2 * 10**9)]
)
def test_split_reads_sizes(call, asked, text, number):
    """With the units of people."""
    ended = call("gguf", "split", "dir/model.gguf", "--max-size", text)
    assert ended.code == 0
    ((_, arguments, options),) = asked
    assert arguments == ("dir/model.gguf", "dir/model")
    assert options["max_bytes"] == number


def test_split_refuses_what_is_no_size(call, asked):
    """As a usage error."""
    ended = call("gguf", "split", "model.gguf", "--max-size", "much")
    assert ended.code == 2
    assert "--max-size must be a number of bytes" in ended.err
    assert asked == []


def test_merge_writes_one_file(call, asked):
    """And replaces only if told to."""
    assert call("gguf", "merge", "a-00001-of-00002.gguf", "a.gguf", "--force").code == 0
    ((_, arguments, options),) = asked
    assert arguments == ("a-00001-of-00002.gguf", "a.gguf")
    assert options["overwrite"]


def test_show_prints_long_arrays_short(call, asked):
    """And the tensors on request."""
    out = call("gguf", "show", "model.gguf").out
    assert "general.name: tiny" in out
    assert "tokens: 900 × [0, 1, 2, 3, 4, …]" in out
    assert "weights" not in out
    assert "weights  f32    64 x 2" in call("gguf", "show", "model.gguf", "--tensors").out
