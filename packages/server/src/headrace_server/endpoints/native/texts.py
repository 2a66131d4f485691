"""What llama-server answers about texts beside completing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from headrace_server.endpoints.answering import described
from headrace_server.endpoints.native.prompts import prompts_of, tokens_of
from headrace_server.errors import ApiError

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange


class TemplateRequest(msgspec.Struct, kw_only=True):
    """``POST /apply-template``."""

    messages: list[dict[str, Any]]
    model: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool | None = None


@described(TemplateRequest)
async def apply_template(exchange: Exchange) -> None:
    """``POST /apply-template``: a conversation as the model would see it."""
    request = await exchange.body(TemplateRequest)
    given: dict[str, Any] = {
        "tools": request.tools,
        "tool_choice": request.tool_choice,
        "parallel_tool_calls": request.parallel_tool_calls,
        "response_format": request.response_format,
    }
    args = dict(request.chat_template_kwargs or {})
    thinks = args.pop("enable_thinking", None)
    if request.add_generation_prompt is False:
        raise ApiError(
            400,
            "unsupported",
            "add_generation_prompt must be true or left out: what is shown is what a model would "
            "go on with",
            param="add_generation_prompt",
        )
    keywords = {name: value for name, value in given.items() if value is not None}
    if isinstance(thinks, bool):
        keywords["reasoning"] = thinks
    async with exchange.server.registry.use(request.model, exchange) as served:
        rendered = await served.model.arender_chat(
            request.messages, template_args=args or None, **served.shown(keywords)
        )
    await exchange.respond({"prompt": rendered.prompt})


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """``POST /embedding``."""

    content: Any = None
    input: Any = None
    model: str | None = None
    embd_normalize: int | None = None
    pooling: str | None = None


@described(EmbeddingRequest)
async def embedding(exchange: Exchange) -> None:
    """``POST /embedding``: of each text its vectors, one where they are pooled."""
    request = await exchange.body(EmbeddingRequest)
    field = "input" if request.input is not None else "content"
    value = getattr(request, field)
    if value is None:
        raise ApiError(400, "missing_field", "content is missing: send a text", param="content")
    if request.embd_normalize not in (None, -1, 2):
        raise ApiError(
            400,
            "unsupported",
            f"embd_normalize must be -1 (not at all) or 2 (to a length of 1), "
            f"got {request.embd_normalize}",
            param="embd_normalize",
        )
    prompts, _ = prompts_of(value, field)
    async with exchange.server.registry.use(request.model, exchange) as served:
        texts: list[Any] = [
            prompt[0]
            if len(prompt) == 1 and isinstance(prompt[0], str)
            else await tokens_of(served.model, prompt, field)
            for prompt in prompts
        ]
        pooled = request.pooling != "none"
        async with served.admission.seat(exchange):
            found = await served.model.aembed(
                texts,
                pooling=request.pooling,
                normalize=pooled and request.embd_normalize != -1,
            )
    exchange.record.prompt_tokens = found.usage.prompt_tokens
    vectors = found if found.pooling == "none" else [[vector] for vector in found]
    await exchange.respond(
        [{"index": index, "embedding": each} for index, each in enumerate(vectors)]
    )
