"""Long texts full of special tokens: llama.cpp's own tokens, in a time that grows with the text."""

from __future__ import annotations

import random
import re

import pytest

import headrace
from headrace import ModelParams
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp.model import LlamaModel
from tests.support import tiny_gguf, vocabularies
from tests.support.subprocesses import run_script

NAMES = re.findall(
    r"\S+",
    "aquila baichuan bert-bge command-r deepseek-coder deepseek-llm falcon gemma-4 gpt-2 gpt-neox "
    "llama-bpe llama-spm mpt nomic-bert-moe phi-3 qwen2 qwen35 refact starcoder",
)
PLAIN = ["a", "Hello", " world", "\n", " ", "  ", "\t", "é", "☃", "𓀀", "12", "<", "|>", "</", "<s"]
PLAIN += [".", " \n", "ab cd", "\0", "\u0378", "\n\n", "\n\n\n", "    "]
LONGEST = 20_000


def by_llama_cpp(model, text, add_special, parse_special):
    """The tokens of one call of llama.cpp."""
    data = text.encode()
    ids, count, report = ffi.new("int32_t[]", len(data) + 16), ffi.new("int32_t *"), new_report()
    size = (ids, len(data) + 16, count, report)
    lib.hr_test_tokenize(model._handle.pointer, data, len(data), add_special, parse_special, *size)
    assert report.status == lib.HR_OK
    return ffi.unpack(ids, count[0])


def special_texts(vocabulary):
    """What the control tokens of a vocabulary are written as."""
    hidden = [token for token in range(vocabulary.n_tokens) if not vocabulary.piece(token)][:300]
    texts = [vocabulary.detokenize([token], special=True) for token in hidden]
    return [text.decode("utf-8", "replace").strip() for text in texts if text.strip()]


def random_text(rng, specials):
    """Special tokens, parts of them, and what may stand beside them."""
    few = rng.sample(specials, min(len(specials), rng.choice([1, 2, 5, 20])))
    share, length, parts = rng.random(), rng.choice([2_100, 4_000, 9_000, LONGEST]), []
    while length > 0:
        part = rng.choice(few) if rng.random() < share else rng.choice(PLAIN)
        if rng.random() < 0.03:
            part = part[: rng.randrange(len(part) + 1)]
        parts.append(part)
        length -= max(1, len(part.encode()))
    return "".join(parts)


@pytest.mark.parametrize("name", NAMES)
def test_the_tokens_are_llama_cpps(name):
    """Of every kind of tokenizer, with tokens that take the spaces beside them along."""
    model = LlamaModel(vocabularies.paths()[name], ModelParams(vocab_only=True))
    rng = random.Random(name)
    specials = [*special_texts(model.vocabulary), "<s>", "</s>", "[SEP]", "<|endoftext|>"]
    for number in range(12):
        text = random_text(rng, specials)
        add, parse = bool(number & 1), bool(number & 2)
        found = model.vocabulary.tokenize(text, add_special=add, parse_special=parse)
        assert found == by_llama_cpp(model, text, add, parse), text[:200]
    model.close()


@pytest.mark.parametrize(
    "text", ["</s>", "x</s>", "\n", "\u0378"], ids=["special", "between", "newline", "unknown"]
)
@pytest.mark.parametrize("name", ["llama-spm", "llama-bpe", "phi-3"])
def test_two_megabytes_of_it_are_a_matter_of_seconds(name, text):
    """It took hours; no time is compared here, a test that hangs is seen."""
    model = LlamaModel(vocabularies.paths()[name], ModelParams(vocab_only=True))
    times = 2_000_000 // len(text.encode())
    few = model.vocabulary.tokenize(text * 3_000, add_special=False, parse_special=True)
    many = model.vocabulary.tokenize(text * times, add_special=False, parse_special=True)
    assert len(many) >= len(few) * (times // 3_000) // 2
    model.close()


def test_ctrl_c_ends_a_long_tokenization():
    """The interrupt comes out of the call; the model goes on."""
    script = f"""
        import signal
        import headrace
        from headrace import ModelParams

        class Enough(Exception): pass

        def enough(*_): raise Enough

        signal.signal(signal.SIGALRM, enough)
        params = ModelParams(vocab_only=True)
        with headrace.load_model({str(tiny_gguf.path("attention"))!r}, params=params) as model:
            text = "x</s>" * 1_500_000
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            try:
                while True:
                    model.tokenize(text, parse_special=True)
            except Enough:
                print("enough")
            print(len(model.tokenize("a", add_special=False)))
    """
    ended = run_script(script)
    assert (ended.code, ended.output.split()) == (0, ["enough", "1"]), ended.errors


def test_a_conversation_full_of_special_text_is_answered():
    """Content is a caller's, too."""
    with headrace.load_model(
        tiny_gguf.path("attention"), params=ModelParams(vocab_only=True)
    ) as model:
        prompt = model.render_chat(
            [headrace.ChatMessage(role="user", content="</s>" * 200_000)],
            template="{{ messages[0].content }}",
        ).prompt
        assert len(model.tokenize(prompt, add_special=False, parse_special=True)) == 200_000
