"""Loading: what a model says of itself, what can be asked for, how it ends early."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from headrace.errors import (
    ClosedError,
    ModelFormatError,
    ModelLoadCancelledError,
    ModelLoadError,
    ModelNotFoundError,
    ParamsError,
    UnsupportedError,
)
from headrace.params import EngineParams, ModelParams
from headrace.protocols import Truncation
from tests.integration.driving import load_decoder_model
from tests.support import tiny_gguf


def test_a_model_tells_what_it_is(load):
    """Name, size, vocabulary and metadata come from the file."""
    info = load("attention").info
    assert info.name == "tiny attention"
    assert info.backend == "llamacpp"
    assert info.architecture == "llama"
    assert info.n_vocab == tiny_gguf.N_VOCAB
    assert info.n_ctx_train == tiny_gguf.N_CTX_TRAIN
    assert info.n_params > 0
    assert info.size_bytes > 0
    assert info.special_tokens["bos"] == tiny_gguf.BOS
    assert info.metadata["llama.block_count"] == str(tiny_gguf.N_LAYER)
    assert "llama.cpp" in info.build


@pytest.mark.parametrize(
    ("kind", "truncation"),
    [
        ("attention", Truncation.ANY),
        ("window", Truncation.RECENT),
        ("recurrent", Truncation.NONE),
    ],
)
def test_a_context_tells_what_its_memory_can_forget(open_driver, kind, truncation):
    """Full attention any end, a window a recent one, a recurrent state nothing but all."""
    assert open_driver(kind).decoder.info.truncation is truncation


def test_a_full_window_can_forget_any_end(open_driver):
    """``full_window`` turns a sliding window into full attention's memory."""
    assert open_driver("window", full_window=True).decoder.info.truncation is Truncation.ANY


@pytest.mark.parametrize("load_mode", ["auto", "none", "mmap", "mlock", "mmap+mlock", "direct_io"])
def test_every_way_of_reading_the_file_gives_the_same_model(load, load_mode):
    """How the weights come into memory changes nothing."""
    model = load("attention", load_mode=load_mode, check_tensors=True, use_extra_bufts=False)
    assert model.info.n_params == load("attention").info.n_params


def test_the_vocabulary_alone_tokenizes_and_generates_nothing(load):
    """``vocab_only`` gives a model with a reason why it opens no session."""
    model = load("attention", vocab_only=True)
    assert model.vocabulary.tokenize("the", add_special=True, parse_special=False)
    assert "vocab_only" in model.generate_hint()


def test_an_encoder_says_why_it_opens_no_session(load):
    """A network that is not causal makes no text."""
    assert "encoder" in load("encoder").generate_hint()


def test_the_cpu_can_be_chosen_by_name(load):
    """``devices=("CPU",)`` uses no other device."""
    assert load("attention", devices=("CPU",), n_gpu_layers=0).generate_hint() is None


def test_a_device_that_is_not_there_is_refused_by_name(load):
    """The error lists those that are."""
    with pytest.raises(ParamsError, match=r"'Abacus'.*Devices: .*CPU"):
        load("attention", devices=("Abacus",))


def test_progress_goes_from_nothing_to_all(gemma_path):
    """The function sees 1.0 at last, and numbers that grow."""
    seen: list[float] = []
    load_decoder_model(gemma_path, progress=seen.append).close()
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_progress_function_that_returns_false_ends_the_load():
    """The load ends with an error of its own class."""
    with pytest.raises(ModelLoadCancelledError):
        load_decoder_model(tiny_gguf.path("attention"), progress=lambda _: False)


def test_what_a_progress_function_raises_ends_the_load_and_comes_out():
    """The exception passes through native code untouched."""

    class Own(Exception):
        pass

    def fail(_):
        raise Own

    with pytest.raises(Own):
        load_decoder_model(tiny_gguf.path("attention"), progress=fail)


def test_ctrl_c_ends_a_load():
    """A signal that comes while native code reads the file raises KeyboardInterrupt."""

    def press(_):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        load_decoder_model(tiny_gguf.path("attention"), progress=press)
    load_decoder_model(tiny_gguf.path("attention")).close()


def test_a_model_loads_in_any_thread():
    """No thread is special."""
    done = []

    def work():
        done.append(load_decoder_model(tiny_gguf.path("attention")))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done[0].info.name == "tiny attention"
    done[0].close()


def test_a_missing_file_is_named(tmp_path):
    """With what is there instead."""
    (tmp_path / "other.gguf").touch()
    with pytest.raises(ModelNotFoundError, match=r"missing\.gguf.*other\.gguf"):
        load_decoder_model(tmp_path / "missing.gguf")


def test_a_file_in_a_missing_directory_is_named(tmp_path):
    """The hint says that the directory is missing."""
    with pytest.raises(ModelNotFoundError, match="no directory"):
        load_decoder_model(tmp_path / "nowhere" / "model.gguf")


def test_a_file_below_a_file_is_not_found(tmp_path):
    """A path through a file leads nowhere."""
    (tmp_path / "file").touch()
    with pytest.raises(ModelNotFoundError):
        load_decoder_model(tmp_path / "file" / "model.gguf")


def test_a_directory_is_no_model(tmp_path):
    """The hint lists the files in it."""
    (tmp_path / "inside.gguf").touch()
    with pytest.raises(ModelFormatError, match=r"is a directory.*inside\.gguf"):
        load_decoder_model(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"Once upon a time", "looks like text"),
        (b"\x00\x01\x02\x03", "begins with"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"GGUF", "model.gguf"),
        (b"GGUF" + bytes(60), "model.gguf"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 64, "model.gguf"),
    ],
)
def test_what_is_no_gguf_file_is_refused_with_a_reason(tmp_path, content, message):
    """Empty, text, another format, only a header: each says what it is."""
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message) as caught:
        load_decoder_model(path)
    assert caught.value.hint


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_damaged(tmp_path, share):
    """Cut off in the header or in the weights: a format error with the native reason."""
    whole = tiny_gguf.path("attention").read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelFormatError, match=r"cut\.gguf.*damaged or incomplete") as caught:
        load_decoder_model(path)
    assert caught.value.native_log


def test_a_model_of_an_unknown_architecture_is_unsupported(tmp_path):
    """The file is sound, this llama.cpp does not know the network."""
    content = tiny_gguf.path("attention").read_bytes().replace(b"llama", b"llamq")
    path = tmp_path / "new.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"unknown model architecture.*newer version"):
        load_decoder_model(path)


def test_a_model_without_vocabulary_is_refused():
    """Weights alone cannot turn text into tokens."""
    with pytest.raises(ModelFormatError, match="has no vocabulary"):
        load_decoder_model(tiny_gguf.path("no_vocabulary"))


def test_an_unreadable_file_is_told_from_a_missing_one(tmp_path, monkeypatch):
    """Permission denied is a load error that says so."""
    path = tmp_path / "secret.gguf"
    path.write_bytes(b"GGUF")

    def refuse(*_args, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelLoadError, match=r"secret\.gguf.*permission denied"):
        load_decoder_model(path)


def test_a_nul_in_a_path_is_not_found():
    """No file has such a name."""
    with pytest.raises(ModelNotFoundError, match="NUL"):
        load_decoder_model("model\0.gguf")


def test_a_closed_model_opens_no_context(load):
    """And says so."""
    model = load("attention")
    model.close()
    model.close()
    with pytest.raises(ClosedError):
        model.open_decoder(EngineParams())
    with pytest.raises(ClosedError):
        model.vocabulary.tokenize("a", add_special=True, parse_special=False)


def test_a_context_beyond_all_memory_is_a_memory_error(load):
    """The hint says what to lower."""
    with pytest.raises(MemoryError, match="n_ctx"):
        load("attention").open_decoder(EngineParams(n_ctx=2**31 - 1, n_sequences=1))


def test_a_vocabulary_opens_no_context(load):
    """Whoever overlooks the hint gets an error."""
    with pytest.raises(UnsupportedError, match="vocab_only"):
        load("attention", vocab_only=True).open_decoder(EngineParams())


def test_defaults_suit_the_model(open_driver):
    """Without settings the context is the model's own, at most 4096 tokens."""
    info = open_driver("attention", n_ctx=None, n_threads=None).decoder.info
    assert info.n_ctx == 4096
    assert ModelParams().load_mode == "auto"


def test_the_time_of_the_load_is_told(load):
    """It is a part of the whole."""
    began = time.monotonic()
    model = load()
    assert 0 < model.info.load_seconds <= time.monotonic() - began
