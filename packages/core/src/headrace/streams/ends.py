"""What an end means for the text: whether all of it is there, and whether the rest is shown."""

from __future__ import annotations

from headrace.results import StopReason

WHOLE = (StopReason.EOG, StopReason.STOP_STRING)
"""Ends at which the model has written all it wanted to."""
UNFINISHED = (StopReason.CANCELLED, StopReason.TIMED_OUT)
"""Ends at which what was not shown yet is not shown any more."""
