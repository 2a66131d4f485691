"""Text to tokens and back on real tokenizers, with values nobody should pass."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace_llamacpp.vocabulary
from headrace.backend.abilities import ListsPieces
from headrace.errors import ClosedError, TokenizeError
from headrace.params import ModelParams
from headrace.testing.tiny_gguf import MARKER
from tests.integration.driving import load_decoder_model
from tests.support import tiny_gguf, vocabularies
from tests.support.subprocesses import run_script

_RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module", params=["attention", "bpe"])
def vocabulary(request):
    """A byte-level vocabulary of either family."""
    model = load_decoder_model(tiny_gguf.path(request.param))
    yield model.vocabulary
    model.close()


@pytest.fixture(scope="module")
def spm():
    """The SPM vocabulary."""
    model = load_decoder_model(tiny_gguf.path("attention"))
    yield model.vocabulary
    model.close()


@_RELAXED
@given(text=_TEXT.filter(lambda text: "▁" not in text), add_special=st.booleans())
def test_text_comes_back_from_its_tokens(vocabulary, text, add_special):
    """With or without BOS; a literal ▁ is the exception, tested below."""
    ids = vocabulary.tokenize(text, add_special=add_special, parse_special=False)
    assert vocabulary.detokenize(ids, special=False).decode() == text


@_RELAXED
@given(text=_TEXT.filter(lambda text: "▁" not in text))
def test_pieces_add_up_to_the_text(vocabulary, text):
    """Token by token, as a stream delivers it."""
    ids = vocabulary.tokenize(text, add_special=True, parse_special=False)
    assert b"".join(map(vocabulary.piece, ids)).decode() == text


def test_a_literal_word_mark_becomes_a_space(spm):
    """SPM spells a space as ▁, so a literal one is lost."""
    ids = spm.tokenize("a▁b", add_special=False, parse_special=False)
    assert spm.detokenize(ids, special=False) == b"a b"


def test_nul_is_a_character_like_any_other(vocabulary):
    """Text is passed with its length."""
    ids = vocabulary.tokenize("a\0b\0", add_special=False, parse_special=False)
    assert vocabulary.detokenize(ids, special=False) == b"a\0b\0"


def test_special_tokens_are_text_unless_asked_for(vocabulary):
    """``parse_special`` reads ``<s>`` as a token, without it the text stays text."""
    plain = vocabulary.tokenize("<s>", add_special=False, parse_special=False)
    parsed = vocabulary.tokenize("<s>", add_special=False, parse_special=True)
    assert tiny_gguf.BOS not in plain
    assert parsed == [tiny_gguf.BOS]


def test_control_tokens_are_shown_only_on_request(vocabulary):
    """And never in a stream."""
    assert vocabulary.detokenize([tiny_gguf.BOS], special=False) == b""
    assert vocabulary.detokenize([tiny_gguf.BOS], special=True) == b"<s>"
    assert vocabulary.piece(tiny_gguf.BOS) == b""


def test_the_end_of_generation_is_known(vocabulary):
    """EOS ends, a word does not."""
    assert vocabulary.is_eog(tiny_gguf.EOS)
    assert not vocabulary.is_eog(tiny_gguf.N_VOCAB - 1)


def test_nothing_has_no_tokens(vocabulary):
    """An empty text and an empty list."""
    assert vocabulary.tokenize("", add_special=False, parse_special=False) == []
    assert vocabulary.detokenize([], special=False) == b""


@pytest.mark.parametrize("token", [-1, -(2**31), tiny_gguf.N_VOCAB, 2**31 - 1])
def test_an_id_outside_the_vocabulary_is_refused(vocabulary, token):
    """By number, before llama.cpp sees it."""
    for convert in (vocabulary.piece, lambda id_: vocabulary.detokenize([3, id_], special=False)):
        with pytest.raises(TokenizeError, match=f"{token} is not in the vocabulary"):
            convert(token)


def test_a_lone_surrogate_is_refused(vocabulary):
    """It is no text."""
    with pytest.raises(TokenizeError, match="surrogate"):
        vocabulary.tokenize("a\ud800", add_special=True, parse_special=False)


def test_text_beyond_the_limit_is_refused(vocabulary):
    """With the limit in the message."""
    with pytest.raises(TokenizeError, match=r"at most \d+"):
        vocabulary.tokenize("a" * (8 * 2**20 + 1), add_special=True, parse_special=False)


def test_a_long_run_of_letters_does_not_overflow_the_stack():
    """Regular expressions recurse once a character; the process must outlive a million."""
    ended = run_script(
        """
        import sys, threading
        from tests.integration.driving import load_decoder_model
        model = load_decoder_model(sys.argv[1])
        def work():
            ids = model.vocabulary.tokenize("a" * 10**6, add_special=False, parse_special=False)
            print(len(ids))
        threading.stack_size(2**18)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        model.close()
        """,
        tiny_gguf.path("bpe"),
    )
    assert (ended.code, ended.output, ended.errors) == (0, "1000000\n", "")


def test_gemma_keeps_many_scripts(gemma_path):
    """A real vocabulary of 262,144 tokens round-trips what people write."""
    model = load_decoder_model(gemma_path)
    for text in (
        "Hello, world",
        "Grüße aus Köln",
        "こんにちは世界",
        "Привет, мир",
        "مرحبا",
        "🙂👍🏽",
    ):
        ids = model.vocabulary.tokenize(text, add_special=True, parse_special=False)
        assert ids[0] == model.info.special_tokens["bos"]
        assert model.vocabulary.detokenize(ids, special=False).decode() == text
        assert b"".join(map(model.vocabulary.piece, ids)).decode() == text
    model.close()


def test_a_user_defined_token_is_read_in_plain_text_too():
    """Control tokens are not: what the documentation says of either."""
    model = load_decoder_model(tiny_gguf.path("attention+marker"))
    marker = tiny_gguf.N_VOCAB - 1
    for parse_special in (False, True):
        ids = model.vocabulary.tokenize(
            f"a{MARKER}b", add_special=False, parse_special=parse_special
        )
        assert marker in ids
    assert marker not in model.vocabulary.tokenize(
        MARKER[:-1], add_special=False, parse_special=False
    )
    end = model.info.special_tokens["eos"]
    assert end not in model.vocabulary.tokenize("</s>", add_special=False, parse_special=False)
    assert end in model.vocabulary.tokenize("</s>", add_special=False, parse_special=True)
    model.close()


NAMES = ("llama-spm", "llama-bpe", "gemma-4", "phi-3", "qwen2", "deepseek-llm", "bert-bge")


@pytest.mark.parametrize("name", [*NAMES, "attention+marker", "bpe"])
def test_all_pieces_at_once_are_those_of_each_token(name):
    """Whatever the kind of vocabulary, special tokens and bytes included."""
    path = vocabularies.paths()[name] if name in NAMES else tiny_gguf.path(name)
    model = load_decoder_model(path, ModelParams(vocab_only=name in NAMES))
    vocabulary = model.vocabulary
    assert isinstance(vocabulary, ListsPieces)
    pieces = vocabulary.pieces()
    assert pieces == [vocabulary.piece(token) for token in range(vocabulary.n_tokens)]
    assert any(map(len, pieces))
    model.close()


def test_pieces_longer_than_expected_are_asked_for_again(monkeypatch):
    """With the room that they need."""
    model = load_decoder_model(tiny_gguf.path("attention"))
    expected = model.vocabulary.pieces()
    monkeypatch.setattr(headrace_llamacpp.vocabulary, "_MEAN_SIZE", 0)
    assert model.vocabulary.pieces() == expected
    model.close()


def test_a_closed_model_has_no_pieces():
    """And says so."""
    model = load_decoder_model(tiny_gguf.path("attention"))
    model.close()
    with pytest.raises(ClosedError):
        model.vocabulary.pieces()
