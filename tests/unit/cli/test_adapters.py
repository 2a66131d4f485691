"""``--lora`` and ``--control-vector`` of the commands that open a session."""

from __future__ import annotations

import json

import pytest

SEEDED = "fake:#mean_length=0"
RUN = ("run", "-q", "-n", "12", "--temperature", "0", SEEDED, "hi")


def test_an_adapter_acts_on_what_is_written(call):
    """The fake writes the adapter's text instead of its own."""
    ended = call("run", "-q", "--lora", "fake:Ahoy", "fake:Hello", "hi")
    assert (ended.code, ended.out) == (0, "Ahoy\n")


@pytest.mark.parametrize("option", ["--lora", "--control-vector"])
def test_a_scale_follows_the_file(call, option):
    """At 0 nothing changes; other scales write other texts."""
    plain = call(*RUN).out
    found = [call(*RUN, option, f"fake:#seed=1:{scale}").out for scale in ("0", "0.5", "1.0")]
    assert found[0] == plain
    assert len({plain, *found[1:]}) == 3
    assert call(*RUN, option, "fake:#seed=1").out == found[2]


def test_several_act_together(call):
    """Two that are each other's opposite cancel."""
    one, opposite = ("--lora", "fake:#seed=1:2.5"), ("--lora", "fake:#seed=1:-2.5")
    vector = ("--control-vector", "fake:#seed=4")
    assert len({call(*RUN, *given).out for given in ((), one, vector, (*one, *vector))}) == 4
    assert call(*RUN, *one, *vector, *opposite).out == call(*RUN, *vector).out


def test_the_receipt_names_them(call):
    """As JSON."""
    done = json.loads(call("run", "--json", "--lora", "fake:Ahoy:0.5", "fake:Hello", "hi").out)
    assert done["receipt"]["adapters"] == [["Ahoy", 0.5]]


def test_chats_and_scores_use_them_too(call):
    """The same options."""
    assert call("chat", "-q", "--lora", "fake:Ahoy", "fake:Hello", "hi").out == "Ahoy\n"
    plain = call("score", SEEDED, "some text").out
    assert call("score", "--lora", "fake:#seed=1", SEEDED, "some text").out != plain


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("fake:Ahoy:1e9", "AdapterUse.scale"),
        ("fake:Ahoy:nan", "AdapterUse.scale"),
        ("nowhere.gguf", "nowhere.gguf"),
    ],
)
def test_what_is_wrong_with_one_is_told(call, given, said):
    """In one line, with the code of a wrong use or a failure."""
    ended = call("run", "--lora", given, "fake:Hello", "hi")
    assert ended.code != 0
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_suffix_is_filled_up_to(call):
    """The fake writes its script, whatever stands around it; the prompt has both."""
    ended = call("run", "fake:a + b", "return ", "--suffix", "\nprint(1)")
    assert (ended.code, ended.out) == (0, "a + b\n")
    alone = call("run", "fake:a + b", "return ")
    assert "prompt 8 tokens" in alone.err
    assert "prompt 41 tokens" in ended.err


def test_verbose_tells_where_the_time_went(call):
    """A line of its own, also without the summary."""
    ended = call("run", "-q", "--verbose", "fake:Hello", "hi")
    names = [part.split()[0] for part in ended.err.strip().split(" · ")]
    assert names == ["prefill", "decode", "sample"]
    copying = ("run", "-v", "--prompt-lookup", "4", "fake:" + "ab " * 12, "ab " * 9)
    assert "draft" in call(*copying).err
