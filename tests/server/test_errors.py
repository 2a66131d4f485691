"""One table says how each error is told."""

from __future__ import annotations

import inspect
import sys

import pytest

from headrace import errors
from headrace_server.errors import TABLE, ApiError, openai_body, told

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

CLASSES = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each) and issubclass(each, errors.HeadraceError)
]


def test_no_class_is_missing():
    """A new one needs a decision."""
    assert set(TABLE) == set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_class_is_told_with_its_status_and_message(kind):
    """The status and code of its own line."""
    found = told(kind("what went wrong", hint="Do that."))
    assert (found.status, found.code) == (TABLE[kind].status, TABLE[kind].code)
    assert "what went wrong" in found.message
    assert "Do that" in found.message


def test_a_backends_own_subclass_has_its_parents_line():
    """Plugins may have classes of their own."""

    class MineError(errors.TokenizeError):
        """One of a plugin's."""

    assert told(MineError("no")).code == TABLE[errors.TokenizeError].code


def test_of_several_at_once_the_first_is_told():
    """Several answers of one request may fail together."""
    group = ExceptionGroup("both", [errors.DecodeError("a"), errors.DecodeError("b")])
    assert told(ExceptionGroup("nested", [group])).code == "decode_failed"


def test_a_defect_says_nothing_of_itself():
    """Its text may have what is nobody's business."""
    found = told(RuntimeError("/secret/path"))
    assert (found.status, found.code) == (500, "internal_error")
    assert "secret" not in found.message


@pytest.mark.parametrize(
    ("message", "field", "rest"),
    [
        ("SamplingParams.top_p must be True, got None", "top_p", "must be true, got None"),
        ("messages[3].role must be one of", "messages[3].role", "must be one of"),
        ("response_format['type'] must be x", "response_format.type", "must be x"),
        ("tools[1].parameters, #/a: no", "tools[1].parameters", ", #/a: no"),
        (
            "template_args must be a dict or None",
            "chat_template_kwargs",
            "must be an object or null",
        ),
        ("prompt must not be empty, got ''", "prompt", "must not be empty, got ''"),
    ],
)
def test_parameters_are_called_as_in_requests(message, field, rest):
    """And values are said in words of JSON, but those that were sent."""
    found = told(errors.ParamsError(message), {"template_args": "chat_template_kwargs"})
    assert found.param == field
    assert found.message == f"{field}: {rest}"


def test_one_text_of_many_that_is_too_long_is_named():
    """By its place in the request."""
    error = errors.ContextFullError("texts[3] has 9 tokens, more than 8", n_tokens=9, n_ctx=8)
    found = told(error, {"texts": "input"})
    assert found.param == "input[3]"
    assert found.details == {"n_prompt_tokens": 9, "n_ctx": 8}


def test_the_body_is_openais():
    """Message, type, param, code, and what an error has beside them."""
    error = ApiError(404, "model_not_found", "none", param="model", details={"more": 1})
    assert openai_body(error) == {
        "error": {
            "message": "none",
            "type": "not_found_error",
            "param": "model",
            "code": "model_not_found",
            "more": 1,
        }
    }


def test_a_remedy_that_only_python_has_is_left_out():
    """Whoever sends a request has no keywords; other remedies stay."""
    keyword = errors.TemplateError("no template", hint="Give one: template=….")
    assert told(keyword).message == "no template"
    plain = errors.TemplateError("no template", hint="Load another model.")
    assert told(plain).message == "no template. Load another model."


def test_values_that_are_nested_too_deeply_are_the_requests_fault():
    """Whatever runs out of stack over them."""
    found = told(RecursionError())
    assert (found.status, found.code) == (400, "invalid_value")
    assert "nested" in found.message
