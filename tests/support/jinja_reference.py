"""Chat templates as transformers renders them: what the authors of the templates tried theirs with.

The settings of the ``jinja2`` environment are those of transformers'
``apply_chat_template``, and so is what a template finds in its variables.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    """The tag ``{% generation %}``, around what the assistant wrote: its body is shown as it is."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        """The tag and its body, as a scope."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without the escapes for HTML that jinja2's own filter makes."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


@functools.cache
def environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    """The environment that all templates share."""
    found = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols],
    )
    found.filters["tojson"] = _tojson
    found.globals.update(raise_exception=_raise_exception, strftime_now=_strftime_now)
    return found


@functools.cache
def compiled(source: str) -> jinja2.Template:
    """A template, ready to be rendered."""
    return environment().from_string(source)


def render(source: str, messages: Sequence[Mapping[str, Any]], **variables: Any) -> str:
    """A conversation as text, to where the answer begins.

    Args:
        source: The template's.
        messages: Dicts in the shape of OpenAI's API.
        **variables: Others, such as ``tools`` and ``bos_token``.

    Raises:
        jinja2.TemplateError: If the template is none, or refuses the conversation.
    """
    told = [{key: value for key, value in each.items() if value is not None} for each in messages]
    variables = {"add_generation_prompt": True, **variables}
    return compiled(source).render(messages=told, **variables)
