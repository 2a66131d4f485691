"""What is this backend's own: the text that transformers writes, and its kinds of failure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from headrace_transformers import TransformersBackend, sampling
from headrace_transformers.model import TorchModel
from tiny import BOS, EOS, save_tiny
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM

import headrace
from headrace import EngineParams, ModelParams, SamplingParams, StopReason
from headrace.protocols import Row, StepStatus, Truncation

ENGINE = EngineParams(n_ctx=256, n_batch=64, n_sequences=2, n_threads=1)
GREEDY = SamplingParams(temperature=0.0)


@pytest.fixture(scope="module")
def model(tiny):
    """The tiny model."""
    with headrace.load_model(tiny, engine=ENGINE) as model:
        yield model


@pytest.fixture
def decoder(tiny):
    """A context without an engine around it."""
    model = TorchModel(Path(tiny), ModelParams(), build="", progress=lambda fraction: None)
    return model.open_decoder(ENGINE)


def test_the_text_is_that_of_transformers(model, tiny):
    """Greedy, token for token, with a prompt that takes several steps."""
    prompt = model.tokenize("Once upon a time, " * 5)
    network = AutoModelForCausalLM.from_pretrained(tiny)
    wanted = network.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=24, min_new_tokens=24
    )[0, len(prompt) :]
    with model.open_session() as session:
        found = session.complete(prompt, sampling=GREEDY, max_tokens=24, ignore_eog=True)
    assert list(found.tokens) == wanted.tolist()


def test_log_probabilities_are_those_of_transformers(model, tiny):
    """Of the model's own distribution, whatever is sampled."""
    network = AutoModelForCausalLM.from_pretrained(tiny)
    prompt = model.tokenize("abc")
    with model.open_session() as session:
        found = session.complete(
            prompt, sampling=SamplingParams(seed=3, logprobs=3), max_tokens=4, ignore_eog=True
        )
    with torch.inference_mode():
        logits = network(torch.tensor([[*prompt, *found.tokens]])).logits[0]
    wanted = logits.log_softmax(-1)
    for place, each in enumerate(found.logprobs, len(prompt) - 1):
        assert each.logprob == pytest.approx(float(wanted[place, each.token]), abs=1e-4)
        assert each.top[0][0] == int(wanted[place].argmax())


@pytest.mark.parametrize("layer", [0, 1])
def test_an_interrupt_ends_a_step_between_two_layers(decoder, layer):
    """The memory is what it was; what follows is computed as if nothing had been."""
    chooser = decoder.new_sampler(GREEDY, seed=1, recent=[], ban_eog=True)
    decoder.step(1, [Row(0, 0, [5, 6, 7], None)])
    layers = decoder._model.network.model.layers
    ring = layers[layer].register_forward_hook(lambda *_: decoder.interrupt(2))
    outcome = decoder.step(2, [Row(0, 3, [8, 9], chooser)])
    ring.remove()
    if layer == 1:  # the last one: nothing was left to interrupt
        assert outcome.status is StepStatus.DONE
        return
    assert outcome.status is StepStatus.INTERRUPTED
    assert (outcome.rows[0].length, outcome.rows[0].tokens) == (3, ())
    (again,) = decoder.step(3, [Row(0, 3, [8, 9], chooser)]).rows
    fresh = decoder.new_sampler(GREEDY, seed=1, recent=[], ban_eog=True)
    decoder.step(4, [Row(1, 0, [5, 6, 7], None)])
    (wanted,) = decoder.step(5, [Row(1, 3, [8, 9], fresh)]).rows
    assert again == wanted


def test_windows_are_not_cut(tmp_path):
    """A cache that overwrites says so, and a rewind computes anew."""
    tiny = save_tiny(tmp_path / "tiny")
    torch.manual_seed(3)
    config = MistralConfig(
        vocab_size=258,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=16,
        initializer_range=0.5,
        bos_token_id=256,
        eos_token_id=257,
        max_position_embeddings=512,
    )
    MistralForCausalLM(config).save_pretrained(tiny)
    network = AutoModelForCausalLM.from_pretrained(tiny)
    with headrace.load_model(tiny, engine=ENGINE) as model, model.open_session() as session:
        prompt = model.tokenize("a prompt that is longer than the window of the layers")
        first = session.complete(prompt, sampling=GREEDY, max_tokens=8, ignore_eog=True)
        assert session.engine.info.truncation is Truncation.NONE
        session.rewind(to=len(prompt))
        again = session.complete(None, sampling=GREEDY, max_tokens=8, ignore_eog=True)
        wanted = network.generate(
            torch.tensor([prompt]), do_sample=False, min_new_tokens=8, max_new_tokens=8
        )[0, len(prompt) :]
    assert list(first.tokens) == wanted.tolist()
    assert again.tokens == first.tokens


def test_samplers_narrow_the_choice():
    """Each keeps what its definition says; the draw chooses among them."""
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()

    def reached(recent=(), banned=(), **params):
        given = SamplingParams(
            **{"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0, **params}
        )
        draws = [number / 200 for number in range(200)]
        return {
            sampling.choose(logits, given, recent=recent, draw=draw, banned=banned)
            for draw in draws
        }

    assert reached() == {0, 1, 2, 3}
    assert reached(top_k=2) == {0, 1}
    assert reached(top_p=0.9) == {0, 1, 2}
    assert reached(min_p=0.5) == {0, 1}
    assert reached(banned=[0, 3]) == {1, 2}
    assert reached(temperature=0.01) == {0}
    assert reached(temperature=0.0, recent=[0], repeat_penalty=5.0) == {1}
    half = [number / 1000 for number in range(1000)]
    plain = SamplingParams(top_k=0, top_p=1.0, min_p=0.0, temperature=1.0)
    first = [sampling.choose(logits, plain, recent=(), draw=draw, banned=()) for draw in half]
    assert [first.count(token) for token in range(4)] == pytest.approx([500, 300, 150, 50], abs=2)


def test_logits_that_are_no_numbers_end_the_generation():
    """With a typed error."""
    broken = torch.full((4,), torch.nan)
    with pytest.raises(headrace.DecodeError, match="no numbers"):
        sampling.choose(broken, GREEDY, recent=(), draw=0.0, banned=())


def test_sentence_pieces_keep_their_bytes(tmp_path):
    """A space in front, bytes of characters that are not in the vocabulary."""
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁mill", "▁wheel", "s"]
    tokenizer = Tokenizer(
        models.Unigram([(name, -float(place)) for place, name in enumerate(names)], 0, True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([BOS, EOS])
    folder = save_tiny(tmp_path / "pieces", tokenizer)
    with headrace.load_model(folder, engine=ENGINE) as model:
        tokens = model.tokenize("mills wheel ü", add_special=False)
        assert tokens[:3] == [names.index("▁mill"), names.index("s"), names.index("▁wheel")]
        assert model.detokenize(tokens) == "mills wheel ü".encode()


def test_the_vocabulary_alone_needs_no_weights(tmp_path, tiny):
    """And opens no session."""
    shutil.copytree(tiny, tmp_path / "copy")
    (tmp_path / "copy" / "model.safetensors").unlink()
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tmp_path / "copy", params=params) as model:
        assert model.detokenize(model.tokenize("abc")) == b"abc"
        assert model.tokenize("a</s>", add_special=False, parse_special=True)[-1] == 257
        assert len(model.tokenize("a</s>", add_special=False)) == 5
        with pytest.raises(headrace.UnsupportedError):
            model.open_session()


def test_pickled_weights_are_refused(tmp_path, tiny):
    """They could run anything."""
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    (folder / "model.safetensors").unlink()
    torch.save(
        AutoModelForCausalLM.from_pretrained(tiny).state_dict(), folder / "pytorch_model.bin"
    )
    with pytest.raises(headrace.ModelFormatError, match="copy"):
        headrace.load_model(folder)


def test_a_vocabulary_that_the_model_does_not_have_is_refused(tmp_path):
    """Before a token could be out of range."""
    folder = save_tiny(tmp_path / "small", vocab_size=200, bos_token_id=1, eos_token_id=2)
    with pytest.raises(headrace.ModelFormatError, match="258 tokens, the model 200"):
        headrace.load_model(folder)


def test_only_folders_of_models_are_claimed(tmp_path, tiny):
    """Others may be another backend's."""
    backend = TransformersBackend()
    assert backend.can_load(tiny)
    (tmp_path / "config.json").write_text(json.dumps({"no": "model"}))
    assert not backend.can_load(str(tmp_path))
    assert not backend.can_load(str(tmp_path / "config.json"))
    with pytest.raises(headrace.ModelFormatError, match="model_type"):
        headrace.load_model(tmp_path, backend="transformers")


def test_a_cancel_ends_the_stream(model):
    """As a stop reason."""
    with model.open_session() as session:
        stream = session.generate("abc", ignore_eog=True)
        next(iter(stream))
        stream.cancel()
        for _ in stream:
            pass
        assert stream.result.stop_reason is StopReason.CANCELLED
