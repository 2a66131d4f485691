"""GGUF files as files: seen, quantized, split and merged, compared with the ``gguf`` package."""

from __future__ import annotations

import shutil

import gguf
import numpy as np
import pytest

import headrace
from headrace import SamplingParams
from headrace_llamacpp.quantization import TYPES
from tests.support import tiny_gguf

PROMPT = "The mill stands by the river"


@pytest.fixture
def source(tmp_path):
    """A model file with weights of 32 bits."""
    path = tmp_path / "model.gguf"
    shutil.copy(tiny_gguf.path("attention"), path)
    return path


def _tokens(path):
    with headrace.load_model(path) as model, model.open_session() as session:
        greedy = SamplingParams(temperature=0.0)
        return session.complete(PROMPT, sampling=greedy, max_tokens=24, ignore_eog=True).tokens


def _plain(field):
    value = field.contents()
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("kind", ["attention", "recurrent", "bpe", "no_vocabulary"])
def test_a_file_says_what_the_gguf_package_reads(kind):
    """All metadata, arrays too, and every tensor."""
    path = tiny_gguf.path(kind)
    found, expected = headrace.inspect_file(path), gguf.GGUFReader(path)
    fields = {k: v for k, v in expected.fields.items() if not k.startswith("GGUF.")}
    assert found.format == "GGUF 3"
    assert set(found.metadata) == set(fields)
    for key, field in fields.items():
        assert found.metadata[key] == pytest.approx(_plain(field)), key
    assert [each.name for each in found.tensors] == [each.name for each in expected.tensors]
    for ours, theirs in zip(found.tensors, expected.tensors, strict=True):
        assert ours.shape == tuple(int(n) for n in theirs.shape)
        assert ours.size_bytes == theirs.n_bytes
        assert ours.type == theirs.tensor_type.name.lower()


def test_a_damaged_file_is_a_typed_error(source):
    """With llama.cpp's reason."""
    source.write_bytes(source.read_bytes()[:400])
    with pytest.raises(headrace.ModelFormatError, match="damaged or incomplete"):
        headrace.inspect_file(source)


def test_merging_what_was_split_gives_the_same_file(source, tmp_path):
    """Byte for byte, and the shards load as the whole does."""
    shards = headrace.split_model(source, tmp_path / "part", max_tensors=5)
    assert [shard.name for shard in shards] == [
        f"part-{number:05}-of-{len(shards):05}.gguf" for number in range(1, len(shards) + 1)
    ]
    assert len(shards) == -(-len(headrace.inspect_file(source).tensors) // 5)
    assert _tokens(shards[0]) == _tokens(source)
    whole = headrace.merge_model(shards[0], tmp_path / "whole.gguf")
    assert whole.read_bytes() == source.read_bytes()


def test_shards_keep_to_their_size(source, tmp_path):
    """But for a tensor that is larger by itself."""
    shards = headrace.split_model(source, tmp_path / "part", max_bytes=40_000)
    for shard in shards:
        found = headrace.inspect_file(shard)
        assert found.size_bytes <= 40_000 or len(found.tensors) == 1
    assert len(shards) > 2


def test_only_first_shards_merge_and_only_all_of_them(source, tmp_path):
    """Errors that name what is wrong."""
    shards = headrace.split_model(source, tmp_path / "part", max_tensors=8)
    with pytest.raises(headrace.ModelFormatError, match="not the first shard"):
        headrace.merge_model(shards[1], tmp_path / "whole.gguf")
    with pytest.raises(headrace.ModelFormatError, match="not the first shard"):
        headrace.merge_model(source, tmp_path / "whole.gguf")
    with pytest.raises(headrace.ModelFormatError, match="itself a part"):
        headrace.split_model(shards[0], tmp_path / "again", max_tensors=1)
    shards[1].unlink()
    with pytest.raises(headrace.ModelNotFoundError, match=shards[1].name):
        headrace.merge_model(shards[0], tmp_path / "whole.gguf")
    assert not (tmp_path / "whole.gguf").exists()


def test_a_shard_that_ends_early_is_a_typed_error(source, tmp_path):
    """And leaves no half of a target."""
    shards = headrace.split_model(source, tmp_path / "part", max_tensors=8)
    shards[-1].write_bytes(shards[-1].read_bytes()[:-2000])
    with pytest.raises(headrace.ModelFormatError):
        headrace.merge_model(shards[0], tmp_path / "whole.gguf")
    assert not [path for path in tmp_path.iterdir() if "whole" in path.name]


def test_copying_can_be_stopped(source, tmp_path):
    """Nothing is left behind."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(headrace.ModelLoadCancelledError):
        headrace.split_model(
            source, tmp_path / "part", max_tensors=3, progress=lambda done: done < 0.5
        )
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["F16", "BF16", "Q8_0", "Q4_0", "Q5_1"])
def test_a_quantized_copy_has_the_numbers_of_the_gguf_package(source, tmp_path, name):
    """Bit for bit, for the matrices that are quantized."""
    target = headrace.quantize_model(source, tmp_path / "small.gguf", name, pure=True)
    kind = gguf.GGMLQuantizationType[name]
    original = {each.name: each.data for each in gguf.GGUFReader(source).tensors}
    compared = 0
    for tensor in gguf.GGUFReader(target).tensors:
        if tensor.tensor_type == kind:
            expected = gguf.quants.quantize(np.array(original[tensor.name]), kind)
            assert np.array_equal(tensor.data.view(np.uint8), expected.view(np.uint8))
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_makes_a_model_that_runs(source, tmp_path, name):
    """And no larger one than it was."""
    target = headrace.quantize_model(source, tmp_path / "small.gguf", name, n_threads=1)
    assert len(_tokens(target)) == 24
    assert target.stat().st_size <= source.stat().st_size + 1024


def test_quantizing_twice_must_be_asked_for(source, tmp_path):
    """A quantized source is refused with the reason."""
    small = headrace.quantize_model(source, tmp_path / "small.gguf", "Q8_0")
    with pytest.raises(headrace.ParamsError, match="quantized already") as caught:
        headrace.quantize_model(small, tmp_path / "smaller.gguf", "Q4_0")
    assert "allow_requantize" in caught.value.hint
    assert not (tmp_path / "smaller.gguf").exists()
    again = headrace.quantize_model(small, tmp_path / "smaller.gguf", "Q4_0", allow_requantize=True)
    assert again.stat().st_size < small.stat().st_size


def test_quantizing_tells_how_far_it_is_and_can_be_stopped(source, tmp_path):
    """At each tensor; what was written by then is gone."""
    seen = []
    headrace.quantize_model(source, tmp_path / "small.gguf", "Q8_0", progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    with pytest.raises(headrace.ModelLoadCancelledError, match="quantization was cancelled"):
        headrace.quantize_model(
            source, tmp_path / "other.gguf", "Q8_0", progress=lambda done: done < 0.3
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.gguf", "small.gguf"]


def test_what_the_progress_function_raises_passes(source, tmp_path):
    """As it is."""

    def broken(done):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        headrace.quantize_model(source, tmp_path / "small.gguf", "Q8_0", progress=broken)
    assert not (tmp_path / "small.gguf").exists()


def test_a_file_that_is_no_model_is_refused(tmp_path):
    """Before llama.cpp is asked."""
    path = tmp_path / "note.gguf"
    path.write_text("hello")
    with pytest.raises(headrace.ModelFormatError, match="not a GGUF file"):
        headrace.quantize_model(path, tmp_path / "small.gguf", "Q8_0")
