"""``headrace serve``: OpenAI's, Anthropic's and llama-server's interfaces over any backend.

::

    from headrace_server import create_app

    app = create_app("model.gguf")  # an ASGI application: uvicorn module:app
"""

from __future__ import annotations

from headrace.common.later import attributes
from headrace_server._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headrace_server.app import create_app
    from headrace_server.models.spec import ModelSpec
    from headrace_server.settings import ApiKey, ServerSettings

__all__ = ["ApiKey", "ModelSpec", "ServerSettings", "__version__", "create_app"]

__getattr__, __dir__ = attributes(
    globals(),
    {
        "headrace_server.app": ("create_app",),
        "headrace_server.models.spec": ("ModelSpec",),
        "headrace_server.settings": ("ApiKey", "ServerSettings"),
    },
)
