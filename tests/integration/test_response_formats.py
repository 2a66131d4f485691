"""Answers that keep to a schema, behind free thoughts, in every template's format."""

from __future__ import annotations

import json

import numpy as np
import pytest

import headrace
from headrace import ChatMessage, GrammarError, ModelParams, UnsupportedError
from headrace.grammar import JsonSchema, Lark
from headrace.masks.guide import Guide
from headrace.requests.chat import ChatRequest
from headrace_llamacpp.answers import Form, keeping
from headrace_llamacpp.model import LlamaModel
from tests.support import chat_templates, tiny_gguf, vocabularies
from tests.support.taking import begins, following, takes

NAMES = chat_templates.names()
ASKED = [{"role": "user", "content": "Where to?"}]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Paris", "<think>", "</think><tool_call>{}", "```"]},
        "days": {"type": "number", "multipleOf": 0.5},
    },
    "required": ["city"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
RIGHT = [
    '{"city": "Paris"}',
    '{"city": "<think>", "days": 2.5}',
    '{"city": "</think><tool_call>{}", "days": 2}',
    '{"city": "```"}',
]
WRONG = ['{"city": "Rome"}', '{"city": "Paris", "days": 0.3}', '{"days": 1}', "Paris.", "[]"]
# Control tokens and text, whatever a model may write.
THOUGHTS = [
    "It rains.",
    'Well,\n\n{"city": "Rome"}? No.\n```json\n{}\n```\n',
    "Straße, 雨, 🙂 <b> <tool> [x] </ </thin",
]
"""Thoughts that no parser takes for more than that."""


@pytest.fixture(scope="module")
def model():
    """A vocabulary is all that rendering needs."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


@pytest.fixture
def asked(model, monkeypatch):
    """A rendering with a response format, and the forms that its grammar was made of."""
    found = []

    def noted(forms, *rest):
        found[:] = forms
        return keeping(forms, *rest)

    monkeypatch.setattr("headrace_llamacpp.chat.keeping", noted)

    def asked_(name, **more):
        found[:] = [Form("")]
        source = chat_templates.source(name)
        rendered = model.render_chat(ASKED, template=source, response_format=FORMAT, **more)
        return rendered, tuple(found)

    return asked_


def written(form, thoughts, breaks, answer):
    """What a model writes in a form."""
    middle = "" if form.end is None else f"{thoughts}{form.end}"
    return f"{form.begin}{middle}{breaks if form.breaks and form.end else ''}{answer}"


@pytest.mark.parametrize("reasoning", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_kept_to_and_the_thoughts_are_free(asked, name, reasoning):
    """What the grammar takes is read as thoughts, and as content under the schema."""
    rendered, forms = asked(name, reasoning=reasoning)
    matcher = following(rendered.grammar)
    parse = rendered.parser.parse
    for form in forms:
        for thoughts in THOUGHTS if form.end else [""]:
            for breaks in ("", "\n\n"):
                for answer in RIGHT:
                    text = written(form, thoughts, breaks, answer)
                    assert takes(matcher, text), text
                    message = parse(text, partial=False)
                    assert message.content.strip() == answer, text
                    assert message.reasoning.strip().endswith(thoughts.strip())
                    assert not message.unread
                for answer in WRONG:
                    assert not takes(matcher, written(form, thoughts, breaks, answer))
    assert not takes(matcher, "Paris.")


# Formats whose prompt has begun the thoughts, whatever is asked for.
OPENED = {
    "Apriel-1.6-15b-Thinker-fixed",
    "Cohere2MoE",
    "Kimi-K3",
    "MiniMax-M2",
    "NVIDIA-Nemotron-Nano-v2",
    "StepFun3.5-Flash",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "llama-cpp-deepseek-r1",
}


@pytest.mark.parametrize("name", NAMES)
def test_without_reasoning_the_answer_comes_at_once(asked, name):
    """Unless the prompt ends within thoughts: they have to end first."""
    _, forms = asked(name, reasoning=False)
    assert [form.end is not None for form in forms] == [name in OPENED]


THINKING = {
    "Qwen-Qwen3-0.6B": ("<think>\nHm.\n</think>\n\n", ""),
    "google-gemma-4-31B-it": ("<|channel>thought\nHm.<channel|>", ""),
    "mistralai-Ministral-3-14B-Reasoning-2512": ("[THINK]Hm.[/THINK]", ""),
    "openai-gpt-oss-120b": (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>",
        "<|channel|>final<|message|>",
    ),
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": (
        "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>",
        "<|START_RESPONSE|>",
    ),
    "muse-glimmer": (
        " to=self<|message|>Hm.<|eom|><|start|>assistant to=user<|message|>",
        " to=user<|message|>",
    ),
    "Qwen3.5-4B": ("Hm.\n</think>\n\n", None),
    "Kimi-K3": ("Hm.<|close|>think<|sep|><|open|>response<|sep|>", None),
    "deepseek-ai-DeepSeek-V3.2": ("Hm.</think>", None),
    "meetkai-functionary-medium-v3.2": (None, "all\n"),
}


@pytest.mark.parametrize("name", THINKING)
def test_thoughts_may_come_where_the_format_has_them(asked, name):
    """And need not, unless the prompt has begun them."""
    rendered, _ = asked(name)
    thinks, answers = THINKING[name]
    for lead in ("Hm.</think>" if thinks is None else thinks, answers or ""):
        expected = lead in (thinks, answers)
        assert takes(rendered.grammar, f"{lead}{RIGHT[0]}") == expected, lead


def token_of(text):
    """Tokens of a single byte, which no text stands for in this vocabulary."""
    return {"<end>": 65, "<next>": 66}.get(text)


def test_what_ends_thoughts_is_the_token_or_its_text():
    """Both are the same to a parser, which sees text."""
    forms = [Form("<go>", "<end>x<next>", breaks=True)]
    grammar = keeping(forms, JsonSchema(SCHEMA), ("<go>", "<end>", "<next>"), token_of)
    assert isinstance(grammar, Lark)
    for text in ("<go>Hm<end>x<next>", "<go>HmAxB\n", "<go>AxB", "<go><end>xB\n\n"):
        assert takes(grammar, f"{text}{RIGHT[0]}"), text
    assert not begins(grammar, "<go>Hm<end>y")
    assert not begins(grammar, f"<go>Hm{RIGHT[0]}x<end>{RIGHT[0]}")


@pytest.mark.parametrize(
    ("text", "special"),
    [
        ("<|channel>thought\nHm, 雨.<channel|>", True),
        ("<|channel>thought\nHm.<channel|>", False),
        ("<|channel>thought\n<channel|>\n\n", True),
        ("", True),
    ],
)
def test_tokens_of_a_real_vocabulary_follow_the_grammar(text, special):
    """Gemma's, in which control tokens name channels; spelled out they count as well."""
    params = ModelParams(vocab_only=True)
    model = LlamaModel(vocabularies.paths()["gemma-4"], params)
    source = chat_templates.source("google-gemma-4-31B-it")
    ask = (ChatMessage(role="user", content="Where to?"),)
    request = ChatRequest(messages=ask, template=source, json_schema=json.dumps(SCHEMA))
    vocabulary, grammar = model.vocabulary, model.render_chat(request).grammar

    def tokens(text, special):
        return vocabulary.tokenize(text, add_special=False, parse_special=special)

    guide = Guide(vocabulary)
    matcher = guide.matcher(grammar, ban_eog=False)
    before = tokens(text, special)
    matcher.follow(0, before + tokens(RIGHT[0], False))
    allowed, _ = matcher.masks()
    bits = np.unpackbits(np.frombuffer(allowed, np.uint8), bitorder="little")
    assert {int(token) for token in np.flatnonzero(bits)} == {
        token for token in range(vocabulary.n_tokens) if vocabulary.is_eog(token)
    }
    matcher = guide.matcher(grammar, ban_eog=False)
    with pytest.raises(GrammarError, match="cannot be followed"):
        matcher.follow(0, before + tokens(WRONG[0], False))
    model.close()


def test_a_format_that_shows_no_answer_is_refused(model):
    """Its parser wants something before the text, and nothing says what."""
    source = chat_templates.source("CohereForAI-c4ai-command-r7b-12-2024-tool_use")
    refuses = (
        "{% if messages[1] and messages[1].content is string and 'hr-' in messages[1].content %}"
    )
    silent = f"{refuses}{{{{ raise_exception('no') }}}}{{% endif %}}{source}"
    with pytest.raises(UnsupportedError, match="no grammar can be made for a response_format"):
        model.render_chat(ASKED, template=silent, response_format=FORMAT)
