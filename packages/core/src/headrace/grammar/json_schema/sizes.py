"""How large a schema gets when llguidance has put together what holds at the same time.

A reference beside other keywords is copied for each place that it stands in, with all that is
copied there: forty of them in a row can be a million million schemas.
"""

from __future__ import annotations

from typing import Any

MAX_SIZE = 20_000
"""Most schemas after copying."""


class Sizes:
    """Sizes of the schemas of one document.

    Args:
        defs: Those that are referred to.
    """

    def __init__(self, defs: dict[str, Any]) -> None:
        self._defs = defs
        self._known: dict[str, int] = {}

    def size(self, schema: Any, *, joined: bool = False) -> int:
        """How many schemas it becomes.

        Args:
            schema: The schema.
            joined: Whether something else holds at the same time.

        Raises:
            RecursionError: If references lead from one to the next for too long.
        """
        if not isinstance(schema, dict):
            return 1
        joined = joined or len(schema) > 1
        found = 1
        if "$ref" in schema and joined:
            found += self._target(schema["$ref"].rpartition("/")[2])
        for key, value in schema.items():
            if key in {"allOf", "anyOf"}:
                several = joined or (key == "allOf" and len(value) > 1)
                found += sum(self.size(part, joined=several) for part in value)
            elif key in {"properties", "patternProperties"}:
                found += sum(self.size(part) for part in value.values())
            elif key == "prefixItems":
                found += sum(self.size(part) for part in value)
            elif key in {"items", "additionalProperties"}:
                found += self.size(value)
        return min(found, MAX_SIZE + 1)

    def _target(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = 1  # what refers to itself so is refused by llguidance
            self._known[name] = self.size(self._defs.get(name, True))
        return self._known[name]
