"""Whether the server is alive, and its models with it."""

from __future__ import annotations

from headrace_server.http.exchange import Exchange


async def health(exchange: Exchange) -> None:
    """``GET /health``: 200 while requests can be answered, 503 while a model stands still.

    One that is loading keeps its callers waiting, and is no reason to send them elsewhere.
    """
    places = exchange.server.registry.places.values()
    states = {place.spec.name: place.health for place in places}
    worst = next(
        (state for state in ("stalled", "loading") if state in states.values()),
        "failed" if all(state == "failed" for state in states.values()) else "ok",
    )
    stalled = [name for name, state in states.items() if state == "stalled"]
    answer: dict[str, object] = {"status": worst, "models": states}
    if stalled:
        answer["message"] = f"no progress for too long: {', '.join(stalled)}"
    await exchange.respond(answer, 503 if worst in ("stalled", "failed") else 200)
