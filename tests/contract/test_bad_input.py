"""Whatever a caller passes: a typed error that names it, and a session that still works."""

from __future__ import annotations

import pytest

from headrace import (
    ClosedError,
    HeadraceError,
    ParamsError,
    SamplingParams,
    TokenizeError,
)

BAD_ARGUMENTS = [
    ({"prompt": ""}, ParamsError, "prompt must not be empty"),
    ({"prompt": []}, ParamsError, "prompt must not be empty"),
    ({"prompt": [1, -1]}, TokenizeError, r"prompt\[1\] is -1"),
    ({"prompt": [2**31]}, TokenizeError, r"prompt\[0\] is 2147483648"),
    ({"prompt": [10**30]}, TokenizeError, r"prompt\[0\] is 1000000"),
    ({"prompt": [1.5]}, ParamsError, r"prompt\[0\] must be a token id, got 1.5"),
    ({"prompt": [True]}, ParamsError, r"prompt\[0\] must be a token id, got True"),
    ({"prompt": b"bytes"}, ParamsError, "prompt must be a sequence of token ids"),
    ({"prompt": 7}, ParamsError, "prompt must be a sequence of token ids"),
    ({"prompt": "a\ud800b"}, TokenizeError, r"lone surrogate '\\ud800' at index 1"),
    ({"prompt": "x", "max_tokens": -1}, ParamsError, "max_tokens must be .* got -1"),
    ({"prompt": "x", "max_tokens": 1.5}, ParamsError, "max_tokens must be .* got 1.5"),
    ({"prompt": "x", "max_tokens": True}, ParamsError, "max_tokens must be .* got True"),
    ({"prompt": "x", "timeout": -1}, ParamsError, "timeout must be .* got -1"),
    ({"prompt": "x", "timeout": float("nan")}, ParamsError, "timeout must be .* got nan"),
    ({"prompt": "x", "timeout": float("inf")}, ParamsError, "timeout must be .* got inf"),
    ({"prompt": "x", "stop": [""]}, ParamsError, "stop must hold non-empty strings, got ''"),
    ({"prompt": "x", "stop": [3]}, ParamsError, "stop must hold non-empty strings, got 3"),
    ({"prompt": "x", "ignore_eog": 1}, ParamsError, "ignore_eog must be True or False, got 1"),
    ({"prompt": "x", "sampling": {}}, ParamsError, "sampling must be SamplingParams"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_ARGUMENTS)
def test_a_bad_argument_is_refused_before_anything_happens(
    session, greedy, arguments, error, message
):
    """The message names the field and the value; the session is as before."""
    session.complete("Hello", sampling=greedy, max_tokens=2, ignore_eog=True)
    before = session.tokens
    with pytest.raises(error, match=message):
        session.generate(**arguments)
    assert session.tokens == before
    assert session.complete(None, sampling=greedy, max_tokens=1, ignore_eog=True).tokens


@pytest.mark.parametrize("tokens", [[-1], [10**9], [2**31 - 1], [2**63], [0, 1, 10**30]])
def test_ids_outside_the_vocabulary_have_no_text(model, tokens):
    """They never reach the library."""
    with pytest.raises(TokenizeError, match="outside the vocabulary"):
        model.detokenize(tokens)


def test_surrogates_have_no_tokens(model):
    """The message tells where the first one is."""
    with pytest.raises(TokenizeError, match="index 3"):
        model.tokenize("abc\udfff")


def test_a_nul_character_in_a_prompt_is_text(model, session, greedy):
    """It is tokenized and comes back."""
    ids = model.tokenize("a\0b", add_special=False)
    assert model.detokenize(ids).endswith(b"a\0b")
    assert session.complete("a\0b", sampling=greedy, max_tokens=1, ignore_eog=True).tokens


def test_a_closed_session_says_so(model, greedy):
    """Whatever is called; closing again is fine."""
    session = model.open_session()
    session.complete("x", sampling=greedy, max_tokens=1)
    session.close()
    session.close()
    with pytest.raises(ClosedError, match="closed"):
        session.generate("x")


def test_a_closed_model_says_so(target):
    """Its sessions are closed with it."""
    model = target.load()
    session = model.open_session()
    model.close()
    model.close()
    for call in (
        lambda: model.tokenize("x"),
        lambda: model.detokenize([1]),
        model.open_session,
        lambda: session.generate("x"),
    ):
        with pytest.raises(ClosedError, match="closed"):
            call()


def test_a_stream_of_a_closed_session_ends_with_an_error(model, greedy):
    """Not with silence: the text is not complete."""
    session = model.open_session()
    stream = session.generate("x", sampling=greedy, ignore_eog=True)
    next(stream)
    session.close()
    with pytest.raises(ClosedError):
        next(stream)
    with pytest.raises(ClosedError):
        _ = stream.result


def test_every_error_is_a_headrace_error():
    """One except clause catches them all, and builtins work where natural."""
    with pytest.raises(HeadraceError):
        SamplingParams(temperature=float("nan"))
    with pytest.raises(ValueError, match="temperature"):
        SamplingParams(temperature=float("inf"))
