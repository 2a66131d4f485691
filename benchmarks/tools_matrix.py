"""What each chat template does with tools: the table ``docs/tools-matrix.md``.

    python benchmarks/tools_matrix.py            # print it
    python benchmarks/tools_matrix.py --write    # write the page

The templates are those that llama.cpp tests itself with. A vocabulary is enough: nothing is
generated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import headrace  # noqa: E402
from headrace.grammar import Gbnf, JsonSchema, Lark, Lazy  # noqa: E402
from tests.support import chat_templates, tiny_gguf  # noqa: E402

PAGE = ROOT / "docs" / "tools-matrix.md"
COLUMNS = (
    "tools",
    "calls",
    "results",
    "call when wanted",
    "required call",
    "enum",
    "JSON",
    "goes on",
)
ASKS = {"role": "user", "content": "Look."}
COLOURS = ["zq_red", "zq_green"]
TOOL = {
    "name": "zq_look",
    "description": "Looks.",
    "parameters": {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": COLOURS}},
        "required": ["colour"],
    },
}
ANSWER: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}
CALLED = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"id": "abcdefghi", "function": {"name": "zq_look", "arguments": '{"colour": "zq_red"}'}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "name": "zq_look", "content": "zq_result"}
HEAD = """\
# Templates and tools

What the templates that llama.cpp tests itself with do with tools, as headrace finds it
([chat](chat.md)). Made by `python benchmarks/tools_matrix.py --write`.

| column | yes means |
|---|---|
| tools | the template shows them; elsewhere `tools_in_prompt=True` does |
| calls, results | it shows calls of earlier answers, and results |
| call when wanted | a dormant grammar keeps a call to the format, where the model begins one |
| required call | `tool_choice="required"` is enforced; elsewhere it is refused |
| enum | the grammar of a required call keeps an argument to its `enum`; else it is checked |
| JSON | a `response_format` is enforced, behind free thoughts where the format has them |
| goes on | a last message of the assistant's is gone on with |

"""


def found(model: headrace.Model, name: str) -> tuple[str, ...]:
    """One row: what each column says of a template."""
    how: dict[str, Any] = {"template": chat_templates.source(name)}

    def render(*messages: dict[str, Any], **more: Any) -> Any:
        try:
            return model.render_chat(messages, **{**how, **more})
        except (headrace.UnsupportedError, headrace.TemplateError):
            return None

    wanted = render(ASKS, tools=[TOOL])
    required = render(ASKS, tools=[TOOL], tool_choice="required")
    schema = {"type": "json_schema", "json_schema": {"schema": ANSWER}}
    json = render(ASKS, response_format=schema)
    text = required.grammar.text if required and isinstance(required.grammar, Gbnf) else ""
    return (
        _yes(wanted),
        _yes(render(ASKS, CALLED, RESULT)),
        _yes(render(ASKS, {**CALLED, "content": "zq_look"}, RESULT)),
        _yes(wanted and isinstance(wanted.grammar, Lazy | Gbnf)),
        _yes(text),
        _yes(all(colour in text for colour in COLOURS)) if text else "–",
        _yes(json and isinstance(json.grammar, JsonSchema | Lark)),
        _yes(render(ASKS, {"role": "assistant", "content": "It is"})),
    )


def _yes(value: object) -> str:
    return "yes" if value else "–"


def table(rows: dict[str, tuple[str, ...]]) -> str:
    """The page."""
    lines = [f"| template | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(row)} |" for name, row in rows.items()]
    counts = [sum(row[at] != "–" for row in rows.values()) for at in range(len(COLUMNS))]
    lines.append(f"| **of {len(rows)}** | {' | '.join(map(str, counts))} |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Look at all of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    write = parser.parse_args().write
    params = headrace.ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        page = table({name: found(model, name) for name in chat_templates.names()})
    if write:
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page, end="")


if __name__ == "__main__":
    main()
