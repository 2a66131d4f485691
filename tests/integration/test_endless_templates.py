"""Templates that never end, in time, in depth or in memory: each is an error, and nothing else."""

from __future__ import annotations

import pytest

import headrace
from headrace import ChatMessage, ModelParams, TemplateError
from tests.support import tiny_gguf
from tests.support.subprocesses import run_script

HI = [ChatMessage(role="user", content="Hi")]
PLAIN = "{{ messages[0].content }}"
DEEP = {
    "a list that holds itself": "{{ messages.append(messages) }}{{ messages }}",
    "another, asked for its length": "{% set x = [] %}{{ x.append(x) }}{{ x|length }}",
    "another, as JSON": "{% set x = [] %}{% set _ = x.append(x) %}{{ x|tojson }}",
    "a macro that calls itself": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "two that call each other": (
        "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"
    ),
    "a sum of many": "{{ " + "1+" * 400_000 + "1 }}",
    "many signs": "{{ " + "-" * 400_000 + "1 }}",
    "a chain of attributes": "{{ x" + ".x" * 400_000 + " }}",
}
LARGE = {
    "a large range": "{% for i in range(1000000000) %}{% endfor %}",
    "a repeated text": "{{ 'a' * 1000000000000 }}",
    "a text that doubles": (
        "{% set ns = namespace(x='abcdefgh') %}"
        "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}"
    ),
    "a list that doubles": (
        "{% set ns = namespace(x=[1]) %}"
        "{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|length }}"
    ),
    "a list in a list, and so on": (
        "{% set ns = namespace(x=[1]) %}"
        "{% for i in range(100000000) %}{% set ns.x = [ns.x] %}{% endfor %}ok"
    ),
    "wide indentation": "{{ messages|tojson(indent=1000000000) }}",
}
LONG = (
    "{% for i in range(30000) %}{% for j in range(30000) %}{% for k in range(30000) %}"
    "{% endfor %}{% endfor %}{% endfor %}"
)
DEEP_BUT_FINITE = {
    "parentheses": "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}",
    "brackets": "{{ " + "[" * 30_000 + "1" + "]" * 30_000 + "[0] is defined }}",
    "conditions": "{% if true %}" * 5_000 + "1" + "{% endif %}" * 5_000,
    "filters": "{{ 1" + "|string" * 10_000 + " }}",
}


@pytest.fixture(scope="module")
def model():
    """A vocabulary without a template."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_depth_without_end_is_an_error(model, source):
    """In process; the model goes on."""
    with pytest.raises(TemplateError, match="the chat template nests too deeply"):
        model.render_chat(HI, template=source)
    assert model.render_chat(HI, template=PLAIN).prompt == "Hi"


@pytest.mark.parametrize("source", LARGE.values(), ids=LARGE)
def test_memory_without_end_is_an_error(model, source):
    """Before it is the system that ends the process."""
    with pytest.raises(TemplateError, match="the chat template takes more than"):
        model.render_chat(HI, template=source)
    assert model.render_chat(HI, template=PLAIN).prompt == "Hi"


def test_time_without_end_is_an_error(model):
    """Some thirty seconds of processor time."""
    with pytest.raises(TemplateError, match="the chat template takes more than 30 s"):
        model.render_chat(HI, template=LONG)
    assert model.render_chat(HI, template=PLAIN).prompt == "Hi"


@pytest.mark.parametrize("source", DEEP_BUT_FINITE.values(), ids=DEEP_BUT_FINITE)
def test_what_is_only_deep_is_rendered(model, source):
    """And let go of: the destructor of a template recurses too."""
    assert model.render_chat(HI, template=source).prompt


def test_ctrl_c_ends_a_rendering():
    """The interrupt comes out of the call; the model goes on."""
    script = f"""
        import _thread, threading
        import headrace
        from headrace import ChatMessage, ModelParams

        hi = [ChatMessage(role="user", content="Hi")]
        params = ModelParams(vocab_only=True)
        with headrace.load_model({str(tiny_gguf.path("attention"))!r}, params=params) as model:
            threading.Timer(0.3, _thread.interrupt_main).start()
            try:
                model.render_chat(hi, template={LONG!r})
            except KeyboardInterrupt:
                print("interrupted")
            print(model.render_chat(hi, template={PLAIN!r}).prompt)
    """
    ended = run_script(script)
    assert (ended.code, ended.output.split()) == (0, ["interrupted", "Hi"]), ended.errors


def test_a_thread_that_renders_without_end_keeps_no_process_alive():
    """At exit it is left where it is."""
    script = f"""
        import threading
        import headrace
        from headrace import ChatMessage, ModelParams

        hi = [ChatMessage(role="user", content="Hi")]
        params = ModelParams(vocab_only=True)
        model = headrace.load_model({str(tiny_gguf.path("attention"))!r}, params=params)
        ready = threading.Event()

        def render():
            ready.set()
            model.render_chat(hi, template={LONG!r})

        threading.Thread(target=render, daemon=True).start()
        ready.wait()
        print("done")
    """
    ended = run_script(script)
    assert (ended.code, ended.output.strip()) == (0, "done"), ended.errors
