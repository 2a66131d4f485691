"""The same servers as on the fake, over the real llama.cpp.

Nothing is collected unless ``HEADRACE_TEST_LLAMACPP=1`` asks for it; then whatever is missing or
broken fails the tests.
"""

import os

from tests.server.conftest import serve, serve_once  # noqa: F401

collect_ignore_glob = [] if os.environ.get("HEADRACE_TEST_LLAMACPP") == "1" else ["test_*.py"]
