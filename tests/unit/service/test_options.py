"""What ``load_model`` passes to a backend alone, and nowhere else."""

from __future__ import annotations

import pickle

import anyio
import pytest

import headrace
from tests.unit.testing.text_only import EchoBackend

SECRET = "a-key-that-nobody-sees"


class Keyed(EchoBackend):
    """Remembers what it was loaded with."""

    def load(self, request):
        """Note the request."""
        self.request = request
        return super().load(request)


def test_a_backend_gets_the_options():
    """As a dict of its own; none is an empty one."""
    backend, given = Keyed(), {"key": SECRET}
    with headrace.load_model("echo:", backend=backend, options=given):
        assert backend.request.options == given
        assert backend.request.options is not given
    with headrace.load_model("echo:", backend=backend):
        assert backend.request.options == {}


def test_a_task_passes_them_too():
    """The same call."""
    backend = Keyed()

    async def main():
        async with await headrace.aload_model("echo:", backend=backend, options={"key": SECRET}):
            assert backend.request.options == {"key": SECRET}

    anyio.run(main)


def test_no_option_is_shown_or_travels():
    """Whoever loads a reference again gives them again."""
    backend = Keyed()
    with headrace.load_model("echo:", backend=backend, options={"key": SECRET}) as model:
        shown = [repr(backend.request), repr(model), repr(model.reference)]
        reference = model.reference
    backend.request = None
    assert SECRET not in "".join(shown)
    assert SECRET.encode() not in pickle.dumps(reference)
    with reference.load(options={"key": "another"}):
        assert backend.request.options == {"key": "another"}


@pytest.mark.parametrize("options", [SECRET, [SECRET], {3: SECRET}])
def test_what_is_no_mapping_is_refused_unseen(options):
    """It may be a key."""
    with pytest.raises(headrace.ParamsError, match="options must be a mapping") as caught:
        headrace.load_model("echo:", backend=Keyed(), options=options)
    assert SECRET not in str(caught.value)
