"""Numbers that a chat template shows as they were given.

llama.cpp's engine writes numbers that are no integers with six digits: ``1234567.89`` in an
earlier call, or in a tool's schema, becomes ``1.23457e+06``. Integers it writes to the
last digit. So a prompt is rendered with an integer of its own in the place of each such
number, and the number is put back.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PART = re.compile(r'"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?', re.DOTALL)
_DIGITS = 19
_HEADS = ("6827", "7394", "8516", "5938", "4279")
"""What the integers begin with; each is below 2**63."""
_MOST = 10**6
"""Numbers of one request."""


class ExactNumbers:
    """A request in which integers stand for other numbers.

    Args:
        request: As it goes to the shim; see ``chat._as_json``.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        whole = json.dumps(request)
        self._head = next((head for head in _HEADS if head not in whole), None)
        self._given: dict[str, str] = {}
        self.text = whole if self._head is None else self._marked(json.dumps(self._calls(request)))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._given)

    def put_back(self, prompt: str) -> str:
        """The text with the numbers that were given."""
        return re.sub(
            rf"{self._head}\d{{{_DIGITS - 4}}}",
            lambda found: self._given.get(found[0], found[0]),
            prompt,
        )

    def _calls(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request, with marks in the arguments of calls, which are texts of their own."""
        messages = []
        for message in request["messages"]:
            calls = [
                {**call, "function": {**call["function"], "arguments": self._marked(arguments)}}
                for call in message.get("tool_calls", ())
                if isinstance(arguments := call["function"]["arguments"], str)
            ]
            messages.append({**message, "tool_calls": calls} if calls else message)
        return {**request, "messages": messages}

    def _marked(self, text: str) -> str:
        return _PART.sub(self._mark, text)

    def _mark(self, part: re.Match[str]) -> str:
        number = part[0]
        if number[0] == '"' or len(self._given) >= _MOST or not _is_rounded(number):
            return number
        mark = f"{self._head}{len(self._given):0{_DIGITS - 4}}"
        self._given[mark] = number
        return mark


def _is_rounded(number: str) -> bool:
    """Whether the engine would write it in another way; nothing stands for zero, which is false."""
    digits = number.lstrip("-")
    if digits.isdigit():
        return len(digits) > _DIGITS or not -(2**63) <= int(number) < 2**63
    return float(number) != 0
