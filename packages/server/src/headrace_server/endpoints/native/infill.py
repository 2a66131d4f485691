"""``POST /infill``: what stands between a prefix and a suffix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from headrace_server.endpoints.answering import described
from headrace_server.endpoints.native.completion import answer
from headrace_server.endpoints.native.requests import Generating
from headrace_server.errors import ApiError

if TYPE_CHECKING:
    import headrace
    from headrace_server.generation.conversations import Key
    from headrace_server.http.exchange import Exchange


class Extra(msgspec.Struct, kw_only=True):
    """Another file, for context."""

    text: str
    filename: str = "tmp"


class InfillRequest(Generating, kw_only=True):
    """``POST /infill``."""

    input_prefix: str | None = None
    input_suffix: str | None = None
    input_extra: list[Extra] | None = None
    prompt: str | None = None


class Between:
    """A place that is to be filled.

    Args:
        request: What stands around it.
    """

    def __init__(self, request: InfillRequest) -> None:
        # The prompt is what stands between the prefix and the cursor.
        self._prefix = (request.input_prefix or "") + (request.prompt or "")
        self._suffix = request.input_suffix or ""
        self._extra = [(each.filename, each.text) for each in request.input_extra or ()]
        self.n_tokens = 0

    @property
    def key(self) -> Key:
        """Any session of an infill: it keeps what it has in common by itself."""
        return "\0infill"

    async def prepare(self, session: headrace.Session) -> None:
        """Compute all of it."""
        await session.acomplete_infill(self._prefix, self._suffix, extra=self._extra, max_tokens=0)

    async def begin(self, session: headrace.Session, **keywords: Any) -> headrace.TokenStream:
        """Begin to fill it."""
        return await session.ainfill(self._prefix, self._suffix, extra=self._extra, **keywords)


@described(InfillRequest, events=True)
async def infill(exchange: Exchange) -> None:
    """``POST /infill``."""
    request = await exchange.body(InfillRequest)
    request.check()
    for field in ("input_prefix", "input_suffix"):
        if getattr(request, field) is None:
            raise ApiError(
                400,
                "missing_field",
                f"{field} is missing: send a text, or an empty one",
                param=field,
            )
    async with exchange.server.registry.use(request.model, exchange) as served:
        await answer(exchange, request, served, [Between(request)])
