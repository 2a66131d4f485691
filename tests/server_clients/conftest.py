"""Which client is tested: each has an environment of its own, which says so.

In one for all of them, what one client needs would quietly hold back the version of another.
"""

from __future__ import annotations

import contextlib
import os

import pytest

from headrace_server import create_app
from tests.server.conftest import Listening

CLIENT = os.environ.get("HEADRACE_TEST_CLIENT", "")


def pytest_ignore_collect(collection_path):
    """Leave out the tests of clients that were not asked for."""
    name = collection_path.name
    if name.startswith("test_") and not (CLIENT and name.startswith(f"test_{CLIENT}")):
        return True
    return None


@pytest.fixture(scope="module")
def url():
    """The address of a server of a model: ``url("fake:Hello")``; one server for each model."""
    started = {}
    with contextlib.ExitStack() as entered:

        def address(reference: str) -> str:
            if reference not in started:
                started[reference] = entered.enter_context(Listening(create_app(reference)))
            return started[reference].url

        yield address
