"""Answers that are kept to the template's format: schemas, required calls, calls when wanted."""

from __future__ import annotations

import json

import pytest

import headrace
from headrace import EngineParams, GrammarError, ParamsError, SamplingParams, UnsupportedError
from headrace.grammar import Choice, Gbnf, Lazy
from tests.support import chat_templates, tiny_gguf
from tests.support.taking import takes

HI = [{"role": "user", "content": "Hi"}]
PICK = {
    "name": "pick",
    "parameters": {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["n"],
        "additionalProperties": False,
    },
}
OTHER = {"name": "other", "parameters": PICK["parameters"]}
SCHEMA = {"type": "json_schema", "json_schema": {"schema": PICK["parameters"]}}
# Formats in which a call comes without any text before it, so that random weights end one.
CALLING = (
    "openai-gpt-oss-120b",
    "google-gemma-4-31B-it",
    "meetkai-functionary-medium-v3.2",
)
TALKING = (
    "Qwen-Qwen2.5-7B-Instruct",
    "meta-llama-Llama-3.1-8B-Instruct",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "ibm-granite-granite-4.0",
    "google-gemma-2-2b-it",
)


@pytest.fixture(scope="module")
def model():
    """Random weights: what comes out in a format does so because of the grammar."""
    engine = EngineParams(n_ctx=4096, n_threads=1)
    with headrace.load_model(tiny_gguf.path("attention"), engine=engine) as model:
        yield model


@pytest.fixture
def answer(model):
    """A seeded answer in a template's format."""

    def answer_(name, *, seed=0, **request):
        with model.open_session() as session:
            return session.complete_chat(
                HI,
                template=chat_templates.source(name),
                sampling=SamplingParams(seed=seed),
                max_tokens=400,
                **request,
            )

    return answer_


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", TALKING)
def test_a_schema_is_kept_to(answer, name, seed):
    """And the answer's content is the JSON alone."""
    found = json.loads(answer(name, response_format=SCHEMA, seed=seed).message.content)
    assert list(found) == ["n"]
    assert found["n"] in range(10)


@pytest.mark.parametrize("name", ["openai-gpt-oss-120b", "muse-glimmer", "Qwen3-Coder"])
def test_a_schema_is_kept_to_where_an_answer_is_more_than_text(answer, name):
    """The name of a channel stands before it."""
    done = answer(name, response_format=SCHEMA, reasoning=False)
    assert done.message.reasoning == ""
    assert json.loads(done.message.content)["n"] in range(10)


@pytest.mark.parametrize("name", CALLING)
def test_a_required_call_comes(answer, name):
    """With arguments of the tool's schema; most answers end before ``max_tokens``."""
    answers = [answer(name, tools=[PICK], tool_choice="required", seed=seed) for seed in range(4)]
    assert "tool_calls" in [done.finish_reason for done in answers]
    for done in answers:
        assert done.message.content == ""
        assert {call.name for call in done.message.tool_calls} <= {"pick"}
        if done.finish_reason == "tool_calls":
            assert all(isinstance(call.parsed(), dict) for call in done.message.tool_calls)


def test_a_tool_named_is_the_one_called(answer):
    """Of several."""
    choice = {"type": "function", "function": {"name": "other"}}
    done = answer(CALLING[2], tools=[PICK, OTHER], tool_choice=choice)
    assert {call.name for call in done.message.tool_calls} == {"other"}


def test_a_call_that_may_come_has_a_dormant_grammar(model):
    """It wakes at the format's own mark."""
    source = chat_templates.source("Qwen-Qwen2.5-7B-Instruct")
    rendered = model.render_chat(HI, tools=[PICK], template=source)
    assert isinstance(rendered.grammar, Lazy)
    assert [trigger.word for trigger in rendered.grammar.triggers] == ["<tool_call>\n"]
    plain = model.render_chat(HI, tools=[PICK], tool_choice="none", template=source)
    assert plain.grammar is None


@pytest.mark.parametrize(("name", "others"), [("n", False), ("n<m>", True)])
def test_names_and_strings_are_told_apart_by_their_first_character(model, name, others):
    """In Gemma's format, where names are written as they are; unless a tool has others."""
    parameters = {"type": "object", "properties": {name: {"type": "string"}}}
    source = chat_templates.source("google-gemma-4-31B-it")
    tools = [{"name": "pick", "parameters": parameters}]
    grammar = model.render_chat(HI, tools=tools, template=source).grammar
    for named in ("n", "first name", "n<m>"):
        call = f'<|tool_call>call:pick{{{named}:<|"|>x: <b>}}<|"|>}}<tool_call|>'
        assert takes(grammar, call) == (named != "n<m>" or others), named


def test_what_a_template_cannot_be_kept_to_is_refused(model):
    """Rather than only asked of the model."""
    with pytest.raises(UnsupportedError, match="no grammar can be made for tool_choice='required'"):
        model.render_chat(
            HI,
            tools=[PICK],
            tool_choice="required",
            template=chat_templates.source("ibm-granite-granite-3.3-2B-Instruct"),
        )


def test_a_grammar_of_the_callers_goes_with_plain_answers_only(model):
    """It and the format's would exclude each other."""
    mine = SamplingParams(seed=0, grammar=Choice(("yes", "no")))
    source = chat_templates.source("Qwen-Qwen2.5-7B-Instruct")
    with model.open_session() as session:
        done = session.complete_chat(HI, template=source, sampling=mine)
        assert done.message.content in ("yes", "no")
        with pytest.raises(ParamsError, match="a grammar of their own"):
            session.chat(HI, template=source, sampling=mine, response_format="json_object")


def test_a_grammar_goes_on_from_what_is_begun(model):
    """What stands in the prompt already is not written again."""
    grammar = Gbnf('root ::= "ab" ("cd" | "ef")', begun="ab")
    with model.open_session() as session:
        done = session.complete("ab", sampling=SamplingParams(seed=0, grammar=grammar))
        assert done.text in ("cd", "ef")
        with pytest.raises(GrammarError, match="what is begun is no beginning of it"):
            session.complete(
                "x",
                sampling=SamplingParams(grammar=Gbnf('root ::= "ab"', begun="x")),
            )


def test_a_lazy_grammar_has_not_begun():
    """It begins at its trigger."""
    begun = Gbnf('root ::= "ab"', begun="a")
    with pytest.raises(GrammarError, match="cannot have begun"):
        Lazy(begun, (headrace.grammar.Trigger(word="a"),))


def test_a_repetition_of_what_may_be_empty_is_for_llama_cpps_own_grammars():
    """Written by hand it is a mistake."""
    text = 'root ::= (a? b)+ "."\na ::= "a"\nb ::= | "b"'
    with pytest.raises(GrammarError, match="what may be empty"):
        Gbnf(text)
    assert Gbnf(text, loose=True).loose
