"""Numbers with a few zeros too many: refused by name, or taken for what they say; nothing hangs."""

from __future__ import annotations

import contextlib
import itertools

import attrs
import pytest

from headrace import (
    ControlVectorUse,
    DraftModel,
    EngineParams,
    HeadraceError,
    ParamsError,
    PromptLookup,
    SamplingParams,
    SessionParams,
)

LARGE = [10**9, 2**31, 2**63, 10**30, -(2**63)]


def _whole(cls):
    """The fields of a class that are whole numbers."""
    return [each.name for each in attrs.fields(cls) if str(each.type).startswith("int")]


def _settings(cls, *required, names=None, **others):
    """Whatever such settings there are: those that are not refused by name."""
    for name, value in itertools.product(names or _whole(cls), LARGE):
        made = None
        with contextlib.suppress(ParamsError), _naming(name):
            made = cls(*required, **{**others, name: value})
        if made is not None:
            yield made


@contextlib.contextmanager
def _naming(name):
    """An error that comes out of the block names the field."""
    try:
        yield
    except ParamsError as error:
        if name not in str(error):
            raise AssertionError(f"{error} does not name {name}") from error
        raise


def _try(call):
    """What a call ends with is its result or a typed error."""
    with contextlib.suppress(HeadraceError):
        return call()


@pytest.mark.parametrize("field", _whole(EngineParams))
def test_settings_of_the_engine(target, field):
    """Checked when they are made, or when the context is."""
    for params in _settings(EngineParams, names=[field], n_ctx=512, n_threads=1):
        with target.open(params) as model:
            _try(lambda model=model: model.open_session().complete("Hello", max_tokens=2))


def test_settings_of_sampling(session):
    """Of a generation each."""
    tried = list(_settings(SamplingParams))
    assert tried
    for sampling in tried:
        _try(lambda sampling=sampling: session.complete("x", sampling=sampling, max_tokens=2))
        session.reset()


def test_settings_of_sessions(model):
    """With what they are made of."""
    speculations = [*_settings(PromptLookup), *_settings(DraftModel, model=model)]
    _complete_in_each(
        model,
        [*_settings(SessionParams), *(SessionParams(speculate=each) for each in speculations)],
    )


def test_layers_of_control_vectors(target, model):
    """There are not so many."""
    vector = model.load_control_vector(target.vector(1))
    uses = list(_settings(ControlVectorUse, vector))
    _complete_in_each(model, [SessionParams(control_vectors=[use]) for use in uses])


def _complete_in_each(model, settings):
    for params in settings:
        session = _try(lambda params=params: model.open_session(params))
        if session is not None:
            with session:
                _try(lambda session=session: session.complete("x", max_tokens=2))


@pytest.mark.parametrize("value", LARGE)
def test_numbers_of_calls(target, session, model, value):
    """Most tokens, tokens to keep, likely tokens, ids."""
    _try(lambda: session.complete("x", sampling=SamplingParams(logit_bias={value: 1})))
    session.reset()
    done = _try(lambda: session.complete("x", max_tokens=max(value, 0), timeout=5))
    assert done or (target.isolated and value > 2**64)  # which no message to its process can hold
    for call in (
        lambda: session.rewind(to=value),
        lambda: session.score("text", top=value),
        lambda: session.generate([value]),
        lambda: session.score([value]),
        lambda: model.detokenize([value]),
    ):
        session.reset()
        with pytest.raises(HeadraceError, match=str(value)):
            call()


def test_a_context_of_a_thousand_million_tokens(target):
    """Is refused where its memory has to be had, and says so."""
    with target.load(n_ctx=10**9) as model:
        real = "llamacpp" in target.name and "recurrent" not in target.name
        if real:
            with pytest.raises(HeadraceError, match="a context of 1000000000 tokens needs"):
                model.open_session()
        else:  # a recurrent state is as long as any other
            model.open_session().close()
