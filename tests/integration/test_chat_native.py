"""The boundary of chat: what is refused, what fails, who may use it when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import headrace
from headrace import (
    ChatMessage,
    ChatParseError,
    ClosedError,
    EngineParams,
    ModelParams,
    TemplateError,
    Tool,
)
from headrace.engine.generation import EngineGeneration
from headrace_llamacpp._native import lib
from tests.support import chat_templates, tiny_gguf
from tests.support.subprocesses import run_script

HI = [ChatMessage(role="user", content="Hi")]
PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


@pytest.fixture
def model():
    """A vocabulary without a template."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


def test_a_model_without_a_template_says_what_to_do(model):
    """It is not answered in a format that the model does not know."""
    with pytest.raises(TemplateError, match=r"no chat template.*template="):
        model.render_chat(HI)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% for %}", "cannot be parsed"),
        ("{{ 1 / }}", "cannot be parsed"),
        ("{# never ends", "cannot be parsed.*missing end of comment"),
        ("{{ " + "(" * 300_000, "cannot be parsed.*Unexpected EOF"),
        ("a\n\n{{ raise_exception('no!') }}", r"at line 3.*Jinja Exception: no!"),
        ("{{ messages[0].content.nothing() }}", "Callee is not a function"),
        ("{{ '' }}", "empty text"),
    ],
)
def test_a_wrong_template_is_told_with_llama_cpps_reason(model, template, told):
    """Also one that would overflow an ordinary stack; the model goes on."""
    with pytest.raises(TemplateError, match=f"(?s){told}"):
        model.render_chat(HI, template=template)
    assert model.render_chat(HI, template=PLAIN).prompt == "user: Hi\n"


def test_limits_are_kept(model):
    """Of the template, of the conversation, and of what comes of it."""
    long = "x" * (lib.hr_chat_template_limit() + 1)
    with pytest.raises(TemplateError, match="the template is longer than"):
        model.render_chat(HI, template=long)
    content = "x" * (lib.hr_chat_input_limit() + 1)
    with pytest.raises(TemplateError, match="the conversation is longer than"):
        model.render_chat([ChatMessage(role="user", content=content)], template=PLAIN)
    times = lib.hr_chat_output_limit() // 1_000_000 + 1
    template = f"{{% for i in range({times}) %}}{{{{ messages[0].content }}}}{{% endfor %}}"
    with pytest.raises(TemplateError, match="the rendered conversation is longer than"):
        model.render_chat([ChatMessage(role="user", content="x" * 1_000_000)], template=template)
    parser = model.render_chat(HI, template=PLAIN).parser
    with pytest.raises(headrace.HeadraceError, match="the answer is longer than"):
        parser.parse(content, partial=False)


def test_any_text_survives_the_boundary(model):
    """NUL, quotes and characters of every plane."""
    text = 'a\0b"\\\n\u2028 ☃ 🎉 \x1f'
    prompt = model.render_chat([ChatMessage(role="user", content=text)], template=PLAIN).prompt
    assert prompt == f"user: {text}\n"
    parser = model.render_chat(HI, template=PLAIN).parser
    assert parser.parse(text, partial=False).content == text


def test_an_answer_out_of_format_is_content(model):
    """From where a call begins in the format; without such a place it is an error with its text."""
    source = chat_templates.source("unsloth-Apriel-1.5")
    tools = [Tool(name="f")]
    text = '<tool_calls>[{"name": "f", "arguments": {]</tool_calls>'
    parser = model.render_chat(HI, tools=tools, template=source).parser
    message = parser.parse(f"Well. {text}", partial=False)
    assert message.content == f"Well. {text}"
    assert message.unread
    required = {"tools": tools, "tool_choice": "required", "template": source}
    parser = model.render_chat(HI, **required).parser
    with pytest.raises(ChatParseError, match="not in the chat template's format") as caught:
        parser.parse(text, partial=False)
    assert caught.value.text == text


def test_nesting_that_a_model_writes_cannot_overflow_the_stack(model):
    """Parsers recurse with the brackets of a call's arguments."""
    source = chat_templates.source("Qwen-Qwen2.5-7B-Instruct")
    parser = model.render_chat(HI, tools=[Tool(name="f")], template=source).parser
    text = '<tool_call>\n{"name": "f", "arguments": {"a": ' + "[" * 20_000
    message = parser.parse(text, partial=True)
    assert [call.name for call in message.tool_calls] == ["f"]


def test_threads_share_a_compiled_template(model):
    """Each gets its own conversation."""
    source = chat_templates.source("Qwen-Qwen3-0.6B")

    def render(number):
        message = ChatMessage(role="user", content=f"Number {number}.")
        rendered = model.render_chat([message], template=source)
        return rendered.prompt, rendered.parser.parse(f"No. {number}", partial=False).content

    with ThreadPoolExecutor(8) as pool:
        for number, (prompt, content) in enumerate(pool.map(render, range(64))):
            assert f"Number {number}." in prompt
            assert content == f"No. {number}"


def test_a_closed_model_renders_nothing_more():
    """A parser that is there already goes on."""
    params = ModelParams(vocab_only=True)
    model = headrace.load_model(tiny_gguf.path("attention"), params=params)
    parser = model.render_chat(HI, template=PLAIN).parser
    model.close()
    with pytest.raises(ClosedError):
        model.render_chat(HI, template=PLAIN)
    assert parser.parse("Yes.", partial=False).content == "Yes."


def test_control_tokens_that_the_parser_needs_are_shown():
    """Others have no text in a stream, and none in a message."""
    engine = EngineParams(n_ctx=512, n_threads=1)
    with headrace.load_model(tiny_gguf.path("attention"), engine=engine) as model:
        eos = model.info.special_tokens["eos"]
        with model.open_session() as session:
            run = session._engine.generate(
                session._sequence,
                [1, 5, 6],
                sampling=headrace.SamplingParams(logit_bias={eos: 1000}),
                seed=0,
                max_tokens=4,
                ignore_eog=False,
                spoken={eos: b"</s>"},
            )
            text = "".join(
                chunk.text for chunk in headrace.TokenStream(EngineGeneration(session._engine, run))
            )
    assert text == "</s>"


def test_nothing_is_printed():
    """Not by templates that fail, nor by answers that do not parse."""
    ended = run_script(
        """
        import headrace
        from tests.support import tiny_gguf
        hi = [headrace.ChatMessage(role="user", content="Hi")]
        tools = [headrace.Tool(name="f")]
        params = headrace.ModelParams(vocab_only=True)
        with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
            shows = "{{ bos_token }}{{ tools | tojson }}"
            for template in ("{% for %}", "{{ raise_exception('x') }}", shows):
                try:
                    parser = model.render_chat(hi, tools=tools, template=template).parser
                    parser.parse("<tool_call>", partial=False)
                except headrace.TemplateError:
                    pass
        """
    )
    assert (ended.code, ended.output, ended.errors) == (0, "", "")
