"""What headrace and jinja2 make of a conversation, and what a difference comes from."""

from __future__ import annotations

import copy
import datetime
import itertools
import json
from collections.abc import Callable
from typing import Any

import attrs

import headrace
from tests.support import chat_templates, jinja_reference
from tests.support.conversations import CONVERSATIONS, Conversation

BOS, EOS = "<s>", "</s>"
"""Those of the tiny models."""


@attrs.define
class Given:
    """What jinja2 gets."""

    messages: list[dict[str, Any]]
    variables: dict[str, Any]


@attrs.frozen
class Outcome:
    """What came of one conversation in one template."""

    label: str
    """``same``, ``both refuse``, ``jinja2 refuses``, ``headrace refuses``, ``other``, or
    ``not shown``: headrace says that the template leaves out tools, calls or results.

    Else the names of ``CHANGES`` with which jinja2 gives the same text.
    """
    expected: str
    """jinja2's text, or why there is none."""
    shown: str
    """headrace's."""


def given(conversation: Conversation) -> Given:
    """What a user of transformers would pass, and the variables that headrace sets."""
    messages = [message.as_dict() for message in conversation.messages]
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        if "reasoning_content" in message:  # transformers gives it under both names
            message["thinking"] = message["reasoning_content"]
    tools = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            },
        }
        for tool in conversation.tools
    ]
    fixed = {"tools": tools or None, "documents": None, "bos_token": BOS, "eos_token": EOS}
    variables = {**fixed, "enable_thinking": conversation.reasoning, **conversation.template_args}
    return Given(messages, variables)


def _functions(data: Given) -> list[dict[str, Any]]:
    return [call["function"] for message in data.messages for call in message.get("tool_calls", ())]


def _arguments_as_text(data: Given) -> None:
    for function in _functions(data):
        function["arguments"] = json.dumps(function["arguments"], ensure_ascii=False)


def _date(data: Given) -> None:
    data.variables["date_string"] = f"{datetime.datetime.now():%d %b %Y}"


def _system_in_next(data: Given) -> None:
    if data.messages[0]["role"] == "system":
        system = data.messages.pop(0)["content"]
        data.messages[0]["content"] = f"{system}\n{data.messages[0]['content']}"


def _blocks(data: Given) -> None:
    for message in data.messages:
        if message["role"] in ("system", "assistant"):
            blocks = [{"type": "text", "text": message["content"]}]
            if "reasoning_content" in message:
                thought = message["reasoning_content"]
                blocks.insert(0, {"type": "thinking", "thinking": thought})
            message["content"] = blocks


def _trimmed(data: Given) -> None:
    for message in data.messages:
        message["content"] = message["content"].strip()


def _unset(data: Given) -> None:
    data.variables = {name: value for name, value in data.variables.items() if value is not None}


def _zeros(data: Given) -> None:
    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: whole(each) for key, each in value.items()}
        if isinstance(value, list):
            return [whole(each) for each in value]
        return 0 if isinstance(value, float) and value == 0 else value

    data.variables["tools"] = whole(data.variables.get("tools"))


def _effort(data: Given) -> None:
    data.variables["reasoning_strength"] = data.variables.get("reasoning_effort")


CHANGES: dict[str, Callable[[Given], None]] = {
    "arguments as text": _arguments_as_text,
    "date": _date,
    "system": _system_in_next,
    "trimmed": _trimmed,
    "blocks": _blocks,
    "unset": _unset,
    "zeros": _zeros,
    "effort": _effort,
}
"""What llama.cpp's chat library does to a conversation before it renders it."""


_TOLD = [key for key, each in CONVERSATIONS.items() if not each.tools]
_OFFERED = [key for key, each in CONVERSATIONS.items() if each.tools]
_CALLED = [key for key in _OFFERED if len(CONVERSATIONS[key].messages) > 2]


def _names(*keys: str, but: tuple[str, ...] = ()) -> str:
    """Some conversations, in their order."""
    return " ".join(key for key in CONVERSATIONS if key in keys and key not in but)


DIFFERENCES: dict[str, dict[str, str]] = {
    "CohereForAI-c4ai-command-r-plus-tool_use": {
        "unset": _names(*_TOLD),
        "jinja2 refuses": _names(*_OFFERED, but=("tools", "parallel", "nested")),
    },
    "GigaChat3-10B-A1.8B": {"other": "numbers"},
    "GigaChat3.1-10B-A1.8B": {"other": "numbers"},
    "Kimi-K2-Instruct": {"jinja2 refuses": _names(*_CALLED)},
    "Kimi-K2-Thinking": {"jinja2 refuses": _names(*_CALLED)},
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": {"unset": _names(*_TOLD)},
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": {"unset": _names(*_TOLD)},
    "StepFun3.5-Flash": {"trimmed": "space"},
    "fireworks-ai-llama-3-firefunction-v2": {"jinja2 refuses": _names(*_TOLD)},
    "google-gemma-2-2b-it": {
        "system": "system turns space thoughts silent arguments",
    },
    "google-gemma-4-31B-it": {"other": "nested"},
    "google-gemma-4-31B-it-interleaved": {"other": _names(*_CALLED)},
    "llama-cpp-deepseek-r1": {"jinja2 refuses": _names(*_OFFERED)},
    "meetkai-functionary-medium-v3.1": {"other": _names(*_OFFERED)},
    "meetkai-functionary-medium-v3.2": {
        "arguments as text": _names(*_CALLED, but=("numbers",)),
        "jinja2 refuses": "numbers",
    },
    "meta-llama-Llama-3.1-8B-Instruct": {"date": _names(*CONVERSATIONS, but=("parallel",))},
    "meta-llama-Llama-3.3-70B-Instruct": {"date": _names(*CONVERSATIONS, but=("parallel",))},
    "mistralai-Ministral-3-14B-Reasoning-2512": {"blocks": "empty thoughts reasoned bare"},
    "muse-glimmer": {"effort": "arguments"},
}
"""What each label of an outcome holds for, beside ``zeros`` in ``numbers``.

``docs/templates.md`` gives the reasons.
"""


def expected(source: str, data: Given) -> str:
    """What jinja2 makes of it."""
    return jinja_reference.render(source, data.messages, **data.variables)


def shown(model: headrace.Model, source: str, conversation: Conversation) -> str:
    """What the model sees, with the token that the tokenizer puts before it."""
    rendered = model.render_chat(
        conversation.messages,
        tools=conversation.tools,
        template=source,
        reasoning=conversation.reasoning,
        template_args=conversation.template_args,
    )
    return rendered.prompt


def compare(model: headrace.Model, name: str, conversation: Conversation) -> Outcome:
    """One conversation in one template of ``chat_templates``."""
    source = chat_templates.source(name)
    text = refusal = ""
    try:
        # The tokenizer puts it there; llama.cpp takes it off, so that it does not stand twice.
        text = expected(source, given(conversation)).removeprefix(BOS)
    except Exception as error:
        refusal = f"{type(error).__name__}: {error}"
    try:
        ours = shown(model, source, conversation)
    except headrace.UnsupportedError as error:
        return Outcome("not shown", refusal or text, str(error))
    except headrace.TemplateError as error:
        label = "both refuse" if refusal else "headrace refuses"
        return Outcome(label, refusal or text, str(error))
    if not refusal and ours == text:
        return Outcome("same", text, ours)
    for count in (1, 2, 3):
        for labels in itertools.combinations(CHANGES, count):
            if _changed(source, conversation, labels) == ours:
                return Outcome(", ".join(labels), refusal or text, ours)
    return Outcome("jinja2 refuses" if refusal else "other", refusal or text, ours)


def _changed(source: str, conversation: Conversation, labels: tuple[str, ...]) -> str | None:
    data = copy.deepcopy(given(conversation))
    for label in labels:
        CHANGES[label](data)
    try:
        return expected(source, data).removeprefix(BOS)
    except Exception:
        return None
