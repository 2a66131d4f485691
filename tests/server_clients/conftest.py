"""Which client is tested: each has an environment of its own, which says so.

In one for all of them, what one client needs would quietly hold back the version of another.
"""

from __future__ import annotations

import os

CLIENT = os.environ.get("HEADRACE_TEST_CLIENT", "")


def pytest_ignore_collect(collection_path):
    """Leave out the tests of clients that were not asked for."""
    name = collection_path.name
    if name.startswith("test_") and not (CLIENT and name.startswith(f"test_{CLIENT}")):
        return True
    return None
