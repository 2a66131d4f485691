"""The LoRA adapters of a model that is served, and how strongly each acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import headrace
from headrace_server.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Adapters:
    """Adapters by their numbers.

    Args:
        loaded: Each with its scale where a request names none.
    """

    def __init__(self, loaded: Sequence[tuple[headrace.Adapter, float]] = ()) -> None:
        self._loaded = [adapter for adapter, _ in loaded]
        self._scales = [scale for _, scale in loaded]

    @property
    def current(self) -> headrace.SessionParams:
        """Settings of a session that names no adapters."""
        return self._of(self._scales)

    def params(self, scales: Mapping[int, float]) -> headrace.SessionParams:
        """Settings of a session with these, by number, and no others.

        Raises:
            ApiError: 400 for a number that there is not.
            ParamsError: For a scale outside its range.
        """
        return self._of(self._checked(scales))

    def use(self, scales: Mapping[int, float]) -> None:
        """Have these act on requests that name none.

        Raises:
            ApiError: 400 for a number that there is not.
            ParamsError: For a scale outside its range.
        """
        checked = self._checked(scales)
        self._of(checked)
        self._scales = checked

    def told(self) -> list[dict[str, Any]]:
        """Them in llama-server's shape."""
        return [
            {
                "id": number,
                "path": adapter.path,
                "scale": self._scales[number],
                "task_name": adapter.info.task or "",
                "prompt_prefix": adapter.info.prompt_prefix or "",
            }
            for number, adapter in enumerate(self._loaded)
        ]

    def _checked(self, scales: Mapping[int, float]) -> list[float]:
        for number in scales:
            if not 0 <= number < len(self._loaded):
                raise ApiError(
                    400,
                    "invalid_value",
                    f"lora: there is no adapter {number}, this model has {len(self._loaded)}; "
                    "GET /lora-adapters lists them",
                    param="lora",
                )
        return [scales.get(number, 0.0) for number in range(len(self._loaded))]

    def _of(self, scales: Sequence[float]) -> headrace.SessionParams:
        uses = tuple(
            (adapter, scale)
            for adapter, scale in zip(self._loaded, scales, strict=True)
            if scale != 0.0
        )
        return headrace.SessionParams(adapters=uses)
