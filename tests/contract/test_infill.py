"""Filling in the middle: what every backend with it promises."""

from __future__ import annotations

import anyio
import pytest

from headrace import (
    BusyError,
    Capability,
    ContextFullError,
    ParamsError,
    StopReason,
    TokenizeError,
    UnsupportedError,
)
from headrace.protocols import Truncation

PREFIX = "def add(a, b):\n    return "
SUFFIX = "\n\nprint(add(1, 2))\n"
EXTRA = [("one.py", "ONE = 1\n"), ("two.py", "TWO = 2\n")]


@pytest.fixture
def model(target):
    """A model with tokens for it."""
    with target.load_infill() as model:
        yield model


@pytest.fixture
def how(greedy):
    """Keywords for a short text that is the same every time."""
    return {"sampling": greedy, "max_tokens": 8}


@pytest.fixture
def ids(model):
    """Token ids of texts and of special tokens, one list."""

    def ids(*parts):
        found = []
        for part in parts:
            if part.startswith("@"):
                found.append(model.info.special_tokens[part[1:]])
            else:
                found += model.tokenize(part, add_special=False)
        return found

    return ids


PROJECT = ("@fim_rep", "myproject\n")
OTHERS = ("@fim_sep", "one.py\n", "ONE = 1\n", "@fim_sep", "two.py\n", "TWO = 2\n")
PATH = ("@fim_sep", "filename\n", "@bos")
BEFORE, AFTER = ("@fim_pre", PREFIX), ("@fim_suf", SUFFIX)


@pytest.mark.parametrize(
    ("keywords", "layout"),
    [
        ({}, (*PROJECT, *PATH, *BEFORE, *AFTER, "@fim_mid")),
        ({"order": "spm"}, (*PROJECT, *PATH, *AFTER, *BEFORE, "@fim_mid")),
        ({"extra": EXTRA}, (*PROJECT, *OTHERS, *PATH, *BEFORE, *AFTER, "@fim_mid")),
        (
            {"project": "adder", "path": "a.py"},
            ("@fim_rep", "adder\n", "@fim_sep", "a.py\n", "@bos", *BEFORE, *AFTER, "@fim_mid"),
        ),
    ],
)
def test_the_history_is_the_layout_of_llama_server(session, how, ids, keywords, layout):
    """Part for part as ``format_prompt_infill`` of its sources puts them; read, not run."""
    done = session.complete_infill(PREFIX, SUFFIX, **keywords, **how)
    assert session.tokens == ids(*layout) + list(done.tokens)
    assert done.usage.prompt_tokens == len(ids(*layout))
    assert len(done.tokens) == 8
    assert done.stop_reason is StopReason.MAX_TOKENS


def test_the_text_is_what_the_model_writes_after_it(model, session, how, ids):
    """The same tokens as for the same ids given by hand."""
    filled = session.complete_infill(PREFIX, SUFFIX, **how)
    with model.open_session() as other:
        by_hand = ids(*PROJECT, *PATH, *BEFORE, *AFTER, "@fim_mid")
        expected = other.complete(by_hand, **how)
    assert (filled.text, filled.tokens) == (expected.text, expected.tokens)


def test_a_stream_and_a_task_give_the_same(model, how):
    """``infill``, ``complete_infill`` and ``acomplete_infill``."""
    texts = []
    with model.open_session() as session, session.infill(PREFIX, SUFFIX, **how) as stream:
        texts.append("".join(chunk.text for chunk in stream))
    with model.open_session() as session:
        texts.append(session.complete_infill(PREFIX, SUFFIX, **how).text)
    with model.open_session() as session:

        async def fill():
            return await session.acomplete_infill(PREFIX, SUFFIX, **how)

        texts.append(anyio.run(fill).text)
    assert texts[0] == texts[1] == texts[2] != ""


def test_what_an_edited_file_begins_with_is_not_run_again(target, model, session, how):
    """The history becomes the new file; its text is as in a new session."""
    session.complete_infill(PREFIX, SUFFIX, **how)
    longer = PREFIX + "a + "
    again = session.complete_infill(longer, SUFFIX, **how)
    with model.open_session() as fresh:
        expected = fresh.complete_infill(longer, SUFFIX, **how)
        assert session.tokens == fresh.tokens
    assert again.text == expected.text
    assert again.usage.prompt_tokens < expected.usage.prompt_tokens
    if not target.isolated and session.engine.info.truncation is Truncation.ANY:
        assert again.usage.cached_tokens >= len(model.tokenize(PREFIX, add_special=False))


def test_texts_and_ids_may_be_empty_and_special_tokens_are_text(model, session, how, ids):
    """An empty file has a gap too; what looks like a token in a file is none."""
    session.complete_infill("", [], max_tokens=0, sampling=how["sampling"])
    assert session.tokens == ids(*PROJECT, *PATH, "@fim_pre", "@fim_suf", "@fim_mid")
    shown = model.detokenize([model.info.special_tokens["fim_mid"]], special=True).decode()
    assert shown
    session.complete_infill(shown, "", **how)
    assert session.tokens.count(model.info.special_tokens["fim_mid"]) == 1


def test_ids_are_taken_as_they_are(model, session, how):
    """The same as for the text they are of."""
    tokens = [model.tokenize(text, add_special=False) for text in (PREFIX, SUFFIX)]
    of_ids = session.complete_infill(*tokens, **how)
    assert of_ids.tokens == session.complete_infill(PREFIX, SUFFIX, **how).tokens


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"prefix": None}, ParamsError, "prefix"),
        ({"suffix": 3}, ParamsError, "suffix"),
        ({"suffix": b"x"}, ParamsError, "suffix"),
        ({"prefix": "\ud800"}, TokenizeError, "prefix"),
        ({"prefix": [10**6]}, TokenizeError, "prefix"),
        ({"order": "pms"}, ParamsError, "order"),
        ({"extra": "one.py"}, ParamsError, "extra"),
        ({"extra": ["one.py"]}, ParamsError, r"extra\[0\]"),
        ({"extra": [("one.py", "", "")]}, ParamsError, r"extra\[0\]"),
        ({"extra": [("one.py", None)]}, ParamsError, r"text of extra\[0\]"),
        ({"extra": [("one\n.py", "")]}, ParamsError, r"name of extra\[0\]"),
        ({"project": "a\nb"}, ParamsError, "project"),
        ({"path": None}, ParamsError, "path"),
        ({"max_tokens": -1}, ParamsError, "max_tokens"),
        ({"sampling": 0.5}, ParamsError, "sampling"),
    ],
)
def test_bad_values_are_typed_errors(session, changes, error, said):
    """They name what is wrong; the history is as before."""
    arguments = {"prefix": PREFIX, "suffix": SUFFIX, **changes}
    with pytest.raises(error, match=said):
        session.infill(arguments.pop("prefix"), arguments.pop("suffix"), **arguments)
    assert session.tokens == []


def test_what_does_not_fit_is_an_error(session, how):
    """Nothing is left out silently, and the history is as before."""
    session.complete_infill(PREFIX, SUFFIX, **how)
    before = session.tokens
    with pytest.raises(ContextFullError, match="does not fit"):
        session.infill(PREFIX, "x" * 3000, **how)
    assert session.tokens == before


def test_one_generation_at_a_time(session, how):
    """As with ``generate``."""
    with session.infill(PREFIX, SUFFIX, **how) as stream:
        next(stream)
        with pytest.raises(BusyError):
            session.infill(PREFIX, SUFFIX, **how)


def test_capability_and_tokens_go_together(target, model):
    """A model without the tokens says so, with a hint."""
    assert Capability.INFILL in model.capabilities
    assert {"fim_pre", "fim_suf", "fim_mid"} <= set(model.info.special_tokens)
    with target.load() as other, other.open_session() as session:
        if Capability.INFILL in other.capabilities:
            return
        with pytest.raises(UnsupportedError, match="fim_pre, fim_suf, fim_mid") as caught:
            session.infill(PREFIX, SUFFIX)
        assert caught.value.hint
