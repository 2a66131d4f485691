"""The one way a build ends early: a message that says what happened and what to do.

It is a ``SystemExit`` because pip and setuptools print an ordinary exception as a hundred lines
of traceback, in which the message drowns; of a ``SystemExit`` they print the message, last.
"""

from __future__ import annotations


class BuildError(SystemExit):
    """The native build cannot go on.

    Args:
        problem: What happened, one sentence.
        remedy: What the user can do about it.
        details: Lines of the failing tool that show the reason, if any.
    """

    def __init__(self, problem: str, remedy: str, details: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        self.details = details
        parts = [details.rstrip(), f"headrace: error: {problem}", f"headrace: what to do: {remedy}"]
        super().__init__("\n" + "\n".join(part for part in parts if part))
