"""The same prompts, grammars and messages as a small C++ program over the same library."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import headrace
from headrace import ChatMessage, Lazy, ModelParams, Tool
from headrace_llamacpp_ffi import library_dir
from native_build.settings import Settings
from native_build.source import find_source
from tests.support import chat_templates, tiny_gguf

TOOL = Tool(
    name="get_weather",
    description="The weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)
MESSAGES = [
    ChatMessage(role="system", content="Be brief."),
    ChatMessage(role="user", content="Is it raining in Paris?\n\nOr in “Rome”?"),
]
QWEN = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
ANSWERS = {
    "Qwen-Qwen3-0.6B": f"<think>\nHm.\n</think>\n\n{QWEN}",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": f"One moment.\n{QWEN}",
    "meta-llama-Llama-3.1-8B-Instruct": '{"name": "get_weather", "parameters": {"city": "Rome"}}',
    "mistralai-Mistral-Nemo-Instruct-2407": "It is raining.",
    "MiMo-VL": "It is raining.",
    "ibm-granite-granite-4.0": QWEN,
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Runs the C++ program on a template and an answer."""
    program = tmp_path_factory.mktemp("reference") / "chat_reference"
    settings = Settings.from_environment()
    if settings.prefix is not None:
        top = settings.prefix / "include"
        folders = [top, top / "llama-common"]
    else:
        source = find_source(settings).folder
        folders = [source / "include", source / "ggml" / "include", source / "common"]
    command = [os.environ.get("CXX", "c++"), "-std=c++17", "-o", program]
    command += [Path(__file__).with_name("chat_reference.cpp")]
    command += [f"-I{folder}" for folder in folders]
    command += [f"-L{library_dir}", "-lllama-common", "-lllama", "-lggml", "-lggml-base"]
    command += [f"-Wl,-rpath,{library_dir}", f"-Wl,-rpath-link,{library_dir}"]
    subprocess.run(command, check=True)

    def run(name: str, answer: str) -> dict:
        messages = json.dumps([message.as_dict() for message in MESSAGES])
        function = {
            "name": TOOL.name,
            "description": TOOL.description,
            "parameters": TOOL.parameters,
        }
        tools = json.dumps([{"type": "function", "function": function}])
        path = chat_templates.folder() / f"{name}.jinja"
        done = subprocess.run(
            [program, path, messages, tools, answer], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def model():
    """Its special tokens are ``<s>`` and ``</s>``, as the program's are."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


def gbnf_of(grammar):
    """The rules, dormant or not."""
    if isinstance(grammar, Lazy):
        grammar = grammar.grammar
    return "" if grammar is None else grammar.text


@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_what_llama_cpp_makes_of_it(reference, model, name):
    """The prompt to the last character, the grammar, and the message."""
    rendered = model.render_chat(MESSAGES, tools=[TOOL], template=chat_templates.source(name))
    expected = reference(name, ANSWERS[name])
    prompt = rendered.prompt
    assert prompt == expected["prompt"].removeprefix("<s>")
    assert gbnf_of(rendered.grammar) == expected["grammar"]
    message = rendered.parser.parse(ANSWERS[name], partial=False)
    told = expected["message"]
    assert message.content == told.get("content", "")
    assert message.reasoning == told.get("reasoning_content", "")
    calls = [call["function"] for call in told.get("tool_calls", [])]
    assert [(call.name, call.arguments) for call in message.tool_calls] == [
        (call["name"], call["arguments"]) for call in calls
    ]
