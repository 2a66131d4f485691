"""``headrace run``: prompts in, text out, options, and how it ends."""

from __future__ import annotations

import json

import pytest


def test_the_text_is_streamed_to_stdout_and_the_summary_to_stderr(call):
    """A line break ends the output."""
    ended = call("run", "fake:Hello world", "Say something")
    assert (ended.code, ended.out) == (0, "Hello world\n")
    assert ended.err.startswith("[eog] · prompt 14 tokens")
    assert "generated 12 tokens" in ended.err


def test_quiet_leaves_the_summary_out(call):
    """Nothing but the text."""
    assert call("run", "-q", "fake:Hello", "hi").err == ""


def test_a_text_that_ends_its_line_gets_no_second_line_break(call):
    """What the model wrote is what is there."""
    assert call("run", "-q", "fake:Hello%0A", "hi").out == "Hello\n"


def test_no_text_is_no_line(call):
    """An empty output stays empty."""
    assert call("run", "-q", "-n", "0", "fake:Hello", "hi").out == ""


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_a_prompt_can_be_piped_in(call, arguments):
    """One line break at its end is left out: BOS and three letters are counted."""
    ended = call("run", "fake:ok", *arguments, stdin=b"abc\n")
    assert "prompt 4 tokens" in ended.err


def test_an_argument_wins_over_a_pipe(call):
    """A script's stdin is not swallowed."""
    assert "prompt 3 tokens" in call("run", "fake:ok", "hi", stdin=b"a long prompt").err


def test_without_a_prompt_on_a_terminal_the_usage_is_told(call):
    """Instead of waiting for ever."""
    ended = call("run", "fake:ok")
    assert ended.code == 2
    assert "Missing argument 'PROMPT'; or pipe it in" in ended.err


def test_a_prompt_that_is_not_text_is_refused(call):
    """The byte is named."""
    ended = call("run", "fake:ok", stdin=b"ab\xff")
    assert ended.code == 2
    assert "PROMPT from stdin is not UTF-8: byte 0xff at position 2" in ended.err


def test_a_prompt_of_other_bytes_is_refused_before_a_model_is_loaded(call):
    """What a shell passes on from another encoding."""
    ended = call("run", "nothing.gguf", "a\udcff")
    assert ended.code == 2
    assert "PROMPT is not UTF-8: b'\\xff' at index 1" in ended.err


def test_an_empty_pipe_is_an_empty_prompt(call):
    """Which is a usage error."""
    assert call("run", "fake:ok", stdin=b"").code == 2


def test_an_empty_prompt_goes_on_where_a_state_stopped(call, tmp_path):
    """The library's ``generate(None)``."""
    state = str(tmp_path / "state")
    call("run", "fake:Hello", "hi", "-n", "2", "--save-state", state)
    ended = call("run", "fake:Hello", "", "--load-state", state)
    assert ended.code == 0
    assert "prompt 0 tokens" in ended.err
    assert call("run", "fake:Hello", "").code == 2


def test_json_is_one_object_with_everything(call):
    """For a program to read."""
    ended = call("run", "--json", "-q", "--seed", "7", "fake:Grüße", "hi")
    done = json.loads(ended.out)
    assert done["text"] == "Grüße"
    assert done["stop_reason"] == "eog"
    assert done["usage"]["prompt_tokens"] == 3
    assert done["receipt"]["seed"] == 7
    assert ended.out.isascii()


@pytest.mark.parametrize(
    ("options", "text", "reason"),
    [
        (["--max-tokens", "3"], "Hel", "max_tokens"),
        (["-n", "0"], "", "max_tokens"),
        (["--stop", "wor"], "Hello ", "stop_string"),
        (["--stop", "xyz", "--stop", "lo"], "Hel", "stop_string"),
        (["--ignore-eog", "-n", "13"], "Hello worldHe", "max_tokens"),
        (["--n-ctx", "8"], "Hello w", "context_full"),
        (["--threads", "2", "--backend", "fake"], "Hello world", "eog"),
    ],
)
def test_options_reach_the_generation(call, options, text, reason):
    """Each changes how it ends."""
    done = json.loads(call("run", "--json", *options, "fake:Hello world", "h").out)
    assert (done["text"], done["stop_reason"]) == (text, reason)


def test_sampling_options_reach_the_sampler(call):
    """Temperature and seed decide what is written."""

    def text(*options):
        return call("run", "-q", "-n", "30", "--ignore-eog", *options, "fake:#seed=1", "hi").out

    assert text("--temperature", "0") == text("--temperature", "0", "--seed", "5")
    assert text("--seed", "4") == text("--seed", "4")
    assert text("--seed", "4") != text("--seed", "5")


def test_the_timeout_ends_a_slow_generation(call):
    """With its own stop reason, and no error."""
    ended = call("run", "--json", "--timeout", "0.05", "fake:slow#delay=3600", "hi")
    assert ended.code == 0
    assert json.loads(ended.out)["stop_reason"] == "timed_out"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--temperature", "nan"], "--temperature must be a finite number"),
        (["--top-k", "-1"], "--top-k"),
        (["--top-p", "0"], "--top-p"),
        (["--min-p", "2"], "--min-p"),
        (["--repeat-penalty", "0"], "--repeat-penalty"),
        (["--seed", "4294967295"], "--seed"),
        (["--max-tokens", "-1"], "--max-tokens must"),
        (["--timeout", "-1"], "--timeout must"),
        (["--threads", "0"], "--threads must"),
        (["--n-ctx", "2"], "--n-ctx must"),
        (["--max-tokens", "many"], "'many' is not a valid integer"),
        (["--max-token", "3"], "--max-tokens"),
    ],
)
def test_wrong_values_are_usage_errors_that_name_the_option(call, arguments, told):
    """Code 2, one line, no traceback."""
    ended = call("run", *arguments, "fake:ok", "hi")
    assert ended.code == 2
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_a_limit_of_drafts_is_named_as_its_option(call):
    """Not as the class that it makes."""
    ended = call("run", "fake:x", "hi", "--prompt-lookup", "0")
    assert ended.code == 2
    assert "--prompt-lookup must be a whole number" in ended.err


def test_a_failure_in_the_middle_keeps_what_was_written(call):
    """The text so far is on stdout, the error on stderr."""
    ended = call("run", "fake:Hello#fault_at=4", "hi")
    assert ended.code == 1
    assert ended.out.rstrip("\n") == "Hel"
    assert "headrace: error: the fake backend failed in step" in ended.err
