"""How references and options tell the fake what to do."""

from __future__ import annotations

import pytest

from headrace.errors import ModelNotFoundError, ParamsError
from headrace_fake import FakeBackend, FakeOptions, Fault
from headrace_fake.reference import parse_reference


def parse(reference):
    """Options of a reference, on top of the defaults."""
    return parse_reference(reference, FakeOptions())


def test_the_text_after_the_scheme_is_the_script():
    """Up to the first ``#``."""
    assert parse("fake:Hello, wörld: 100% sure#").script == "Hello, wörld: 100% sure".encode()


def test_percent_codes_are_bytes():
    """Any byte can be written, also an invalid one."""
    assert parse("fake:%F0%9F%23%00").script == b"\xf0\x9f#\x00"


def test_without_a_text_the_script_of_the_options_stays():
    """None is seeded text."""
    assert parse("fake:").script is None
    assert parse_reference("fake:#seed=3", FakeOptions(script="x")).script == b"x"


def test_options_follow_the_number_sign():
    """Each has the type of its default."""
    options = parse(
        "fake:x#seed=7&delay=0.5&can_copy=false&truncation=recent&fault_at=2,5&fault=row"
    )
    assert options == FakeOptions(
        script="x",
        seed=7,
        delay=0.5,
        can_copy=False,
        truncation="recent",
        fault_at=(2, 5),
        fault=Fault.ROW,
    )


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("fake:x#dealy=1", "no parameter 'dealy'.*Did you mean 'delay'"),
        ("fake:x#delay=soon", "delay must be a number, got 'soon'"),
        ("fake:x#delay=nan", "delay must be a finite number"),
        ("fake:x#delay=-1", "delay must be"),
        ("fake:x#n_ctx=2", "n_ctx must be a whole number ≥ 8"),
        ("fake:x#n_ctx=2.5", "n_ctx must be a number, got '2.5'"),
        ("fake:x#can_copy=maybe", "can_copy must be True or False"),
        ("fake:x#truncation=some", "truncation must be one of 'any', 'recent', 'none'"),
        ("fake:x#fault=bang", "fault must be one of 'row'"),
        ("fake:x#load_fault=bang", "load_fault must be one of 'not_found'"),
        ("fake:x#fault_at=0", "fault_at must be step numbers"),
        ("fake:Issue #5", "option '5' .* has no value.*%23"),
        ("fake:x#script=y", "no parameter 'script'"),
    ],
)
def test_wrong_options_are_named(reference, told):
    """With what is allowed."""
    with pytest.raises(ParamsError, match=told):
        parse(reference)


def test_another_scheme_is_no_model_of_the_fake():
    """The hint shows what one looks like."""
    with pytest.raises(ModelNotFoundError, match="fake:Hello world"):
        parse("model.gguf")


def test_keywords_are_checked_like_references():
    """Mistyped names get a suggestion."""
    with pytest.raises(ParamsError, match="Did you mean 'script'"):
        FakeBackend(scrpt="x")
    with pytest.raises(ParamsError, match="Did you mean 'seed'"):
        FakeOptions.of(sed=1)
    with pytest.raises(ParamsError, match="script must be text, bytes or None, got 3"):
        FakeBackend(script=3)
    with pytest.raises(ParamsError, match="fault_at must be step numbers"):
        FakeBackend(fault_at="soon")


def test_keywords_come_on_top_of_options():
    """Both can be given."""
    backend = FakeBackend(FakeOptions(script="x", seed=3), seed=4)
    assert (backend.options.script, backend.options.seed) == (b"x", 4)
