"""llama-server's own interface, for the many clients that know it and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.routing import Route

from headrace_server.endpoints.answering import Answering
from headrace_server.endpoints.native import completion, infill, looks, texts
from headrace_server.endpoints.native.results import error_body

if TYPE_CHECKING:
    from headrace_server.server import Server


def routes(server: Server) -> Iterator[Route]:
    """Its endpoints."""
    for path, method, endpoint in (
        ("/completion", "POST", completion.completion),
        ("/completions", "POST", completion.completion),
        ("/infill", "POST", infill.infill),
        ("/apply-template", "POST", texts.apply_template),
        ("/embedding", "POST", texts.embedding),
        ("/embeddings", "POST", texts.embedding),
        ("/tokenizer_info", "GET", looks.tokenizer_info),
        ("/slots", "GET", looks.slots),
        ("/props", "GET", looks.props),
        ("/lora-adapters", "GET", looks.lora_adapters),
        ("/lora-adapters", "POST", looks.set_lora_adapters),
    ):
        yield Route(path, Answering(server, endpoint, tell=error_body), methods=[method])
