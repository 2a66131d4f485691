"""A service asked from a process of its own: its history is text there, and here."""

# The protocol says what its methods do.
# ruff: noqa: D102

from __future__ import annotations

import sys

import pytest

import headrace
from headrace import ModelParams, ParamsError, StopReason, UnsupportedError
from headrace.protocols import Delta, ServiceModel, ServiceSession, hookimpl


class CountingSession(ServiceSession):
    """Counts on."""

    def _stream_from(self, request, call):
        begin = sum(word.isdecimal() for word in request.prompt.split())
        for number in range(3):
            yield f" {begin + number + 1}"
        yield Delta(end=StopReason.STOP_STRING, stop_string="END")


class CountingBackend:
    """Its models are called what the options say."""

    name, version, protocol_version = "counting", "1", 2

    def can_load(self, reference):
        return reference.startswith("counting:")

    def capabilities(self):
        return frozenset({headrace.Capability.GENERATE})

    def load(self, request):
        info = headrace.ModelInfo(
            name=str(request.options["name"]),
            backend="counting",
            build="1",
            architecture="service",
            description="counts",
            n_vocab=0,
            n_ctx_train=0,
        )
        return ServiceModel(info, CountingSession)


@hookimpl
def headrace_register_backends(register):
    """As a plugin, in the process."""
    register(CountingBackend())


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session with a service in a process."""
    told = tmp_path / "counting-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[headrace.backends]\ncounting = counting_plugin\n")
    (tmp_path / "counting_plugin.py").symlink_to(__file__)
    monkeypatch.syspath_prepend(str(tmp_path))
    isolated = ModelParams(isolation="process")
    with headrace.load_model(
        "counting:", backend=CountingBackend(), params=isolated, options={"name": "abacus"}
    ) as model:
        assert model.info.name == "abacus"
        yield model.open_session()
    sys.modules.pop("counting_plugin", None)


def test_the_history_is_text(session):
    """And is what was read, whatever was sent in advance."""
    done = session.complete("count")
    assert (done.text, done.stop_reason, done.stop_string) == (" 1 2 3", "stop_string", "END")
    with session.generate(" on") as stream:
        assert next(stream).text == " 4"
    assert session.text == "count 1 2 3 on 4"
    assert session.complete(None).text == " 5 6 7"
    with pytest.raises(UnsupportedError):
        _ = session.tokens


def test_a_mark_is_rewound_to(session):
    """There, by what it says."""
    session.complete("count")
    mark = session.mark()
    session.complete(" on")
    session.rewind(to=mark)
    assert session.text == "count 1 2 3"
    session.reset()
    with pytest.raises(ParamsError, match="at this mark"):
        session.rewind(to=mark)


def test_marks_of_tokens_are_rewound_to_as_well(load):
    """The same calls."""
    session = load().open_session()
    session.complete("a", max_tokens=3)
    mark, before = session.mark(), session.tokens
    session.complete("b", max_tokens=3)
    session.rewind(to=mark)
    assert session.tokens == before
