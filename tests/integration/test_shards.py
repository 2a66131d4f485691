"""Models in several files."""

from __future__ import annotations

import shutil

import gguf
import pytest

from headrace.errors import ModelFormatError, ModelNotFoundError
from headrace.params import EngineParams
from headrace_llamacpp.shards import parts, size_of
from tests.integration.driving import Driver, load_decoder_model, prompt
from tests.support import tiny_gguf

COUNT = 3


@pytest.fixture
def split(tmp_path):
    """The tiny attention model, cut into three files by tensors; their paths."""
    reader = gguf.GGUFReader(tiny_gguf.path("attention"))
    paths = [tmp_path / f"tiny-{number:05d}-of-00003.gguf" for number in range(1, COUNT + 1)]
    for number, path in enumerate(paths):
        writer = gguf.GGUFWriter(path, "llama")
        if number == 0:
            _copy_metadata(reader, writer)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", COUNT)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        for tensor in reader.tensors[number::COUNT]:
            writer.add_tensor(tensor.name, tensor.data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return paths


def _copy_metadata(reader, writer):
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        inner = field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, field.contents(), field.types[0], inner)


def _written(path):
    model = load_decoder_model(path)
    driver = Driver(model, EngineParams(n_ctx=256, n_sequences=1, n_threads=1))
    try:
        return driver.generate(0, prompt(40), 12)
    finally:
        driver.decoder.close()
        model.close()


def test_the_first_part_brings_the_others(split):
    """The model writes what it writes in one file."""
    assert _written(split[0]) == _written(tiny_gguf.path("attention"))
    assert parts(split[0]) == split
    assert size_of(split[0]) == sum(path.stat().st_size for path in split)


def test_a_later_part_names_the_first(split):
    """As the file to load."""
    with pytest.raises(ModelFormatError, match=r"part 2 of a model in 3 files") as caught:
        load_decoder_model(split[1])
    assert split[0].name in caught.value.hint


@pytest.mark.parametrize("missing", [(1,), (1, 2)])
def test_missing_parts_are_named(split, missing):
    """All of them."""
    for number in missing:
        split[number].unlink()
    with pytest.raises(ModelNotFoundError, match="missing") as caught:
        load_decoder_model(split[0])
    for number in missing:
        assert split[number].name in str(caught.value)
    assert caught.value.native_log


def test_a_damaged_part_is_a_format_error_that_names_it(split):
    """Text instead of the second part."""
    split[1].write_bytes(b"GGUF, but no more than that")
    with pytest.raises(ModelFormatError, match=split[1].name):
        load_decoder_model(split[0])


def test_a_part_of_another_place_is_a_format_error(split):
    """The third part under the name of the second."""
    shutil.copy(split[2], split[1])
    with pytest.raises(ModelFormatError, match="damaged, or of another model"):
        load_decoder_model(split[0])


def test_a_part_without_its_name_says_what_names_are_needed(split, tmp_path):
    """llama.cpp finds the others by their names."""
    renamed = split[0].rename(tmp_path / "model.gguf")
    with pytest.raises(ModelFormatError, match=r"one of several files") as caught:
        load_decoder_model(renamed)
    assert "00001-of-00003" in caught.value.hint


@pytest.mark.parametrize("name", ["a-00001-of-00001.gguf", "a-00002-of-00003.gguf", "a.gguf"])
def test_other_names_stand_for_themselves(tmp_path, name):
    """No number of parts, or not the first of them."""
    assert parts(tmp_path / name) == [tmp_path / name]
