"""The same servers as on the fake."""

from tests.server.conftest import serve  # noqa: F401
