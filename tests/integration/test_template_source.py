"""What llama.cpp's template engine reads otherwise than jinja2, put in other words before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace
from headrace import ChatMessage, ModelParams, TemplateError, Tool
from headrace_llamacpp.template_source import OwnTemplates, mended
from headrace_llamacpp.template_tags import taken_apart
from tests.support import chat_templates, jinja_reference, tiny_gguf
from tests.support.raw_gguf import Pair, RawGguf, string

HI = [ChatMessage(role="user", content="Hi")]
TOOL = Tool(name="f", description="", parameters={"type": "object", "properties": {}})
VALUES = {
    "none": None,
    "kinds": ["string", "null"],
    "nested": {"a": {"b": [1, "x", None, True]}},
    "name": "x",
    "numbers": {"small": 1e-7, "long": 0.30000000000000004, "zero": -0.0, "whole": 3.0},
}
FAULTS = {
    "a character before a statement": "a{% if name %}b{% endif %}",
    "one and blanks": "a  {% if name %}b{% endif %}",
    "one before a comment": "a{# c #}b",
    "one before a statement that takes blanks away": "a \t{%- if name %}b{% endif %}",
    "an empty line": "\n{% if name %}b{% endif %}",
    "a format": "{{ '%s'|format('a') }}",
    "a format among others": "{{ 'x' ~ '%s and %d%%'|format(name, 3)|upper ~ 'y' }}",
    "a format in a format": "{{ '<%s, %s>'|format('(%s)'|format(name), nested.a.b[0]) }}",
    "a list in a list": "{{ kinds in ['number', 'integer'] }}",
    "a list in a tuple": "{{ 'a' if kinds in ('number', 'integer') else 'b' }}",
    "an item in a list": "{{ nested.a['b'] not in ['x', ['y']] }}",
    "a list in a list that holds it": "{{ kinds in [kinds] and not kinds in [1] }}",
    "nothing as a value": "{% for k, v in {'a': none}.items() %}{{ k }}={{ v }}{% endfor %}",
    "a mapping as a value": "{% for k, v in nested.items() %}{{ k }}={{- v -}}{% endfor %}",
    "a mapping in a macro": "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(nested) }}",
    "numbers as values": (
        "{% for k, v in [[1, 1.0], [2, 0.1], [3, -2.0], [4, 0], [5, true]] %}{{ v }} {% endfor %}"
    ),
    "a small number as a value": "{% for k, v in numbers.items() %}{{ v }} {% endfor %}",
    "escapes": r"""{{ "\u00e9\x41\101" ~ '\n\'"' ~ "\x22\x5c" }}""",
}


@pytest.fixture(scope="module")
def model():
    """A vocabulary without a template."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


@pytest.fixture
def with_templates(tmp_path):
    """A model whose file has these templates."""
    models = []

    def with_templates_(**sources):
        raw = RawGguf.read(tiny_gguf.path("attention"))
        for name, source in sources.items():
            key = "tokenizer.chat_template" + ("" if name == "default" else f".{name}")
            raw.pairs.append(Pair(key.encode(), 8, string(source.encode())))
        path = tmp_path / "model.gguf"
        path.write_bytes(raw.build())
        models.append(headrace.load_model(path, params=ModelParams(vocab_only=True)))
        return models[-1]

    yield with_templates_
    for each in models:
        each.close()


def expected(source):
    """What jinja2 makes of it."""
    return jinja_reference.render(source, [HI[0].as_dict()], **VALUES)


@pytest.mark.parametrize("source", FAULTS.values(), ids=FAULTS)
def test_a_template_is_rendered_as_by_jinja2(model, source):
    """Character for character, where the engine alone would not."""
    assert mended(source) != source
    rendered = model.render_chat(HI, template=source, template_args=VALUES)
    assert rendered.prompt == expected(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ '%.2f'|format(1.5) }}",
        "{{ name|format(1) }}",
        "{{ '%s'|format(*kinds) }}",
        "{{ '%(a)s'|format(a=1) }}",
        "{{ 'a' '%s'|format(1) }}",
        "{{ '%s'|format() }}",
    ],
)
def test_a_format_of_more_than_texts_is_refused(model, source):
    """Where it is run: the engine would show the percent signs."""
    with pytest.raises(TemplateError, match="format_with_percent_signs"):
        model.render_chat(HI, template=source, template_args=VALUES)
    unused = f"ab{{% if false %}}{source}{{% endif %}}"
    assert model.render_chat(HI, template=unused).prompt == "ab"


@pytest.mark.parametrize(
    "source",
    [
        "  {% if name %}b{% endif %}",
        "ab{% if name %}c{% endif %}",
        "{% for a in ['x', 'y'] %}{{ a }}{% endfor %}",
        "{% for k, v in [['x', 'y']] %}{{ k }}{% endfor %}",
        "{{ name in (name) }}",
        "{{ name ~ 'a' in ['xa'] }}",
        "{{ '{} %s'.format(name) }}",
        r"{{ 'a\n\'\\' }}",
    ],
)
def test_what_the_engine_reads_stays(source):
    """To the character."""
    assert mended(source) == source


def test_a_backslash_before_any_other_character_stands(model):
    """As in Python, which warns of it."""
    rendered = model.render_chat(
        HI,
        template=r"{{ '\d+\/' ~ '\
' }}",
    )
    assert rendered.prompt == r"\d+\/"


@pytest.mark.parametrize("source", ["{{ 'a", "{{ a", "{# a", "{% raw %}{{ a }}{% endraw %}"])
def test_what_cannot_be_taken_apart_stays(model, source):
    """And the engine says what is wrong."""
    assert mended(source) == source
    with pytest.raises(TemplateError):
        model.render_chat(HI, template=source)


def test_the_models_own_template_is_mended(with_templates):
    """As one that is passed is."""
    model = with_templates(default="a{% if true %}{{ messages[0].content }}{% endif %}")
    assert model.render_chat(HI).prompt == "aHi"
    assert model.render_chat(HI).prompt == "aHi"


def test_that_for_tools_too(with_templates):
    """It is taken where there are tools, as llama.cpp does."""
    model = with_templates(
        default="{{ messages[0].content }}",
        tool_use="a{% for each in tools %}{{ each.function.name }}{% endfor %}"
        "{{ messages[0].content }}",
    )
    assert model.render_chat(HI).prompt == "Hi"
    assert model.render_chat(HI, tools=[TOOL]).prompt == "afHi"


def test_a_sound_template_is_left_to_llama_cpp():
    """Which knows that of a file, and what a short name stands for."""
    for metadata in ({}, {"tokenizer.chat_template": "chatml"}):
        assert OwnTemplates(metadata).source(with_tools=False) is None
    own = OwnTemplates({"tokenizer.chat_template": "ab", "tokenizer.chat_template.tool_use": "a{#"})
    assert own.source(with_tools=True) is None


@pytest.mark.parametrize("name", chat_templates.names())
def test_a_template_in_use_is_taken_apart_and_put_together(name):
    """And mended once, it needs no more."""
    source = chat_templates.source(name)
    pieces = taken_apart(source)
    assert "".join(each if isinstance(each, str) else each.text() for each in pieces) == source
    assert mended(mended(source)) == mended(source)


WORDS = ["{{", "}}", "{%", "%}", "{#", "#}", "-", "'", '"', "\\", "(", ")", "[", "]", ",", "x", " "]
WORDS += ["in", "not", "for", "endfor", "macro", "format", "|", ".", "%s", "\n", "1", "=", "~"]


@given(st.lists(st.sampled_from(WORDS), max_size=40).map("".join))
def test_any_source_is_taken_apart_and_put_together(source):
    """Or refused, whatever it is; what is mended is text."""
    pieces = taken_apart(source)
    if pieces is not None:
        assert "".join(each if isinstance(each, str) else each.text() for each in pieces) == source
    assert mended(mended(source)) == mended(source)
