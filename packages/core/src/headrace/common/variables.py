"""The environment variables that steer headrace."""

from __future__ import annotations

BACKEND_VARIABLE = "HEADRACE_BACKEND"
"""Name of the backend that loads what names none."""
SELECT_VARIABLE = "HEADRACE_PLUGINS"
"""The plugins that are used, or with a minus sign those that are not."""
