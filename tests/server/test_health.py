"""Whether the server says that it lives."""

from __future__ import annotations


def test_health_needs_nothing(serve):
    """It answers before any model is loaded."""
    with serve().client() as client:
        answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.headers["x-request-id"].startswith("req-")
