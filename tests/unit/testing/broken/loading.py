"""Loads that go wrong."""

from __future__ import annotations

import attrs

from tests.unit.testing.broken.making import BREAKERS, Broken, breaks, generating, subject, wrap


@breaks("load.info")
def _(model):
    model.info = attrs.evolve(model.info, build="")


@breaks("load.missing")
def _(load):
    return attrs.evolve(load, reference="fake:")


BREAKERS["load.damaged"] = lambda: subject(Broken(), damaged_model="fake:")


def _progress(id: str, change) -> None:
    @breaks(id)
    def _(load):
        told = load.progress
        return load if told is None else attrs.evolve(load, progress=change(told))


def _wrong_error(told):
    def tell(fraction):
        try:
            return told(fraction)
        except Exception as error:
            raise KeyError("progress") from error

    return tell


_progress("load.progress", lambda told: lambda fraction: told(1 - fraction))


_progress("load.progress_cancels", lambda told: lambda fraction: bool(told(fraction)) or None)


_progress("load.progress_raises", _wrong_error)


@breaks("load.independent")
def _(backend):
    models = []

    def keep(model):
        models.append(model)
        wrap(model, "close", lambda inner: [type(each).close(each) for each in models])

    return Broken(model=keep)


@generating("load.writes")
def _(session, inner, prompt, *, max_tokens, **keywords):
    return inner(prompt, max_tokens=0, **keywords)
