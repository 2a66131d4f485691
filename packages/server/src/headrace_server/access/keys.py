"""Keys: which one a request shows, and whether its limits leave room for one more request."""

from __future__ import annotations

import contextlib
import hmac
import math
import time
from collections.abc import Iterator, Mapping, Sequence

import attrs

from headrace_server.errors import ApiError
from headrace_server.settings import ApiKey

_MINUTE = 60.0


@attrs.define(eq=False)
class _Holder:
    """A key, and what is under way with it."""

    key: ApiKey
    secret: bytes = attrs.field(repr=False)
    allowance: float
    """Requests that may come at once."""
    counted_at: float
    under_way: int = 0


class Keys:
    """The keys of a server. For one event loop.

    Args:
        keys: All of them; none: whoever asks is answered.
    """

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        now = time.monotonic()
        self._holders = [
            _Holder(
                attrs.evolve(key, name=key.name or f"key-{number}"),
                key.key.encode("ascii"),
                key.requests_per_minute or math.inf,
                now,
            )
            for number, key in enumerate(keys, 1)
        ]

    def __bool__(self) -> bool:
        return bool(self._holders)

    @contextlib.contextmanager
    def admitted(self, headers: Mapping[str, str]) -> Iterator[ApiKey | None]:
        """The key of a request, which counts among its key's as long as the block runs.

        Args:
            headers: The request's, by names in lower case.

        Raises:
            ApiError: 401 without a key that is known; 429 for one request too many.
        """
        if not self._holders:
            yield None
            return
        holder = self._holder(headers)
        self._count(holder)
        holder.under_way += 1
        try:
            yield holder.key
        finally:
            holder.under_way -= 1

    def _holder(self, headers: Mapping[str, str]) -> _Holder:
        shown = [secret.encode("latin-1") for secret in _secrets(headers)]
        found = None
        for holder in self._holders:  # all of them, whichever it is: the time tells nothing
            for secret in shown:
                if hmac.compare_digest(secret, holder.secret):
                    found = holder
        if found is not None:
            return found
        what = "the key is not one of this server's" if shown else "a key is needed"
        raise ApiError(
            401,
            "invalid_api_key",
            f"{what}; send one as 'Authorization: Bearer KEY' or 'X-Api-Key: KEY'",
            headers={"www-authenticate": "Bearer"},
        )

    def _count(self, holder: _Holder) -> None:
        """Take one request from what the key has.

        Raises:
            ApiError: 429 if nothing is left.
        """
        key = holder.key
        if key.max_concurrent is not None and holder.under_way >= key.max_concurrent:
            raise _refusal(
                f"the key {key.name!r} permits {key.max_concurrent} requests at the same time, "
                "and as many are under way; wait for one to end",
                1,
            )
        if key.requests_per_minute is None:
            return
        now = time.monotonic()
        rate = key.requests_per_minute / _MINUTE
        grown = holder.allowance + (now - holder.counted_at) * rate
        holder.allowance = min(key.requests_per_minute, grown)
        holder.counted_at = now
        if holder.allowance < 1:
            seconds = math.ceil((1 - holder.allowance) / rate)
            raise _refusal(
                f"the key {key.name!r} permits {key.requests_per_minute:g} requests a minute; "
                f"try again in {seconds} seconds",
                seconds,
            )
        holder.allowance -= 1


def _secrets(headers: Mapping[str, str]) -> Iterator[str]:
    scheme, _, secret = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        yield secret.strip()
    if headers.get("x-api-key", "").strip():
        yield headers["x-api-key"].strip()


def _refusal(message: str, seconds: int) -> ApiError:
    return ApiError(
        429, "rate_limit_exceeded", message, headers={"retry-after": str(max(1, seconds))}
    )
