"""Values that no model's text can have, that nest without end, or that are empty: typed errors."""

from __future__ import annotations

import pytest

from headrace import (
    ChatParseError,
    Choice,
    ClosedError,
    HeadraceError,
    JsonSchema,
    ParamsError,
    SamplingParams,
    StopReason,
    ToolCall,
)

LONE = "\ud83d"
PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"


def _deep(n):
    found = {"type": "string"}
    for _ in range(n):
        found = {"type": "array", "items": found}
    return found


def _tool(**changes):
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}, **changes}
    return {"type": "function", "function": function}


@pytest.mark.parametrize("stop", [LONE, ["fine", "a" + LONE]])
def test_a_stop_string_that_can_never_match_is_refused(session, stop):
    """It would be looked for in vain."""
    for begin in (session.generate, session.complete):
        with pytest.raises(ParamsError, match="stop must hold text without lone surrogates"):
            begin("x", stop=stop)
    with pytest.raises(ParamsError, match="stop must hold text"):
        session.chat([{"role": "user", "content": "x"}], stop=stop)


def test_lone_surrogates_are_refused_everywhere(session, model):
    """Prompts, texts, conversations, tools, grammars, paths."""
    say = [{"role": "user", "content": "x"}]
    named = {"type": "object", "properties": {LONE: {"type": "string"}}}
    for call in (
        lambda: session.generate(LONE),
        lambda: session.score(LONE),
        lambda: session.infill(LONE, "x"),
        lambda: session.chat([{"role": "user", "content": LONE}]),
        lambda: session.chat(say, tools=[_tool(description=LONE)]),
        lambda: session.chat(say, tools=[_tool(parameters=named)]),
        lambda: session.chat(say, template=LONE),
        lambda: session.complete("x", sampling=SamplingParams(grammar=Choice([LONE]))),
        lambda: session.complete("x", sampling=SamplingParams(grammar=JsonSchema(named))),
        lambda: session.save_state(LONE),
        lambda: model.tokenize(LONE),
        lambda: model.embed([LONE]),
        lambda: model.rerank("x", [LONE]),
        lambda: model.load_adapter(LONE),
    ):
        with pytest.raises(HeadraceError):
            call()


@pytest.mark.parametrize("arguments", ["[" * 200_000, '{"a":' * 200_000])
def test_a_call_whose_arguments_nest_without_end(arguments):
    """The model wrote them: no error of Python's."""
    with pytest.raises(ChatParseError, match="nested too deeply") as caught:
        ToolCall(id="x", name="f", arguments=arguments).parsed()
    assert caught.value.text == arguments


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_no_json(number):
    """Though Python reads them."""
    with pytest.raises(ChatParseError, match=f"{number} is no JSON"):
        ToolCall(id="x", name="f", arguments=f'{{"a": {number}}}').parsed()


def test_schemas_that_nest_without_end(session):
    """In a grammar, an answer's format, a tool."""
    say, schema = [{"role": "user", "content": "x"}], _deep(5_000)
    answer = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for call in (
        lambda: session.complete("x", sampling=SamplingParams(grammar=JsonSchema(schema))),
        lambda: session.complete("x", sampling=SamplingParams(grammar=JsonSchema("[" * 200_000))),
        lambda: session.chat(say, response_format=answer, template=PLAIN),
        lambda: session.chat(say, tools=[_tool(parameters=schema)], template=PLAIN),
    ):
        with pytest.raises(HeadraceError) as caught:
            call()
        assert "deep" in str(caught.value) or "depth" in str(caught.value)


def test_an_empty_list_of_ids_is_called_that(model):
    """Whatever special tokens the model adds to a text."""
    for texts in ([[]], ["x", ()]):
        with pytest.raises(ParamsError, match="is a list of token ids without one"):
            model.embed(texts, pooling="mean")
    assert list(model.embed([], pooling="mean")) == []


def test_what_is_empty_elsewhere(session, model):
    """Nothing to tokenize is nothing; nothing to score or to begin with is an error."""
    assert model.tokenize("", add_special=False) == []
    assert model.detokenize([]) == b""
    for call in (session.score, session.generate):
        for nothing in ("", []):
            with pytest.raises(ParamsError, match="must not be empty"):
                call(nothing)


@pytest.mark.parametrize("read", [0, 1])
def test_the_result_after_the_session_was_closed(model, greedy, read):
    """Is that it was closed, whether anybody had read or not."""
    session = model.open_session()
    stream = session.generate("Hello", sampling=greedy, ignore_eog=True)
    for _ in range(read):
        next(stream)
    session.close()
    for _ in range(2):
        with pytest.raises(ClosedError, match="closed"):
            _ = stream.result
    with pytest.raises(ClosedError):
        next(stream)


def test_the_result_after_the_model_was_closed(target, greedy):
    """The same."""
    model = target.load()
    stream = model.open_session().generate("Hello", sampling=greedy, ignore_eog=True)
    next(stream)
    model.close()
    with pytest.raises(ClosedError, match="closed"):
        _ = stream.result


def test_a_result_outlives_its_session(model, greedy):
    """One that was finished, or cancelled, before."""
    ends = []
    for end in (list, lambda stream: stream.cancel()):
        session = model.open_session()
        stream = session.generate("Hello", sampling=greedy, max_tokens=3, ignore_eog=True)
        end(stream)
        session.close()
        ends.append(stream.result.stop_reason)
    assert ends == [StopReason.MAX_TOKENS, StopReason.CANCELLED]
