"""Speculation: tokens are proposed cheaply, and the model verifies several in one native call.

``PromptLookup`` and ``DraftModel`` say how, in ``SessionParams.speculate``. They
change no token: each is still drawn from the model's own distribution.
"""

from headrace.speculation.values import DraftModel, PromptLookup

__all__ = ["DraftModel", "PromptLookup"]
