"""What llama-server tells of itself: slots, properties, adapters, the tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from headrace_server._version import __version__
from headrace_server.endpoints.answering import described
from headrace_server.endpoints.native.requests import Generating, LoraScale
from headrace_server.endpoints.native.results import settings
from headrace_server.errors import ApiError
from headrace_server.generation.prompts import context_of

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange
    from headrace_server.models.served import Served


def _query(exchange: Exchange) -> dict[str, str]:
    found = parse_qs(exchange.scope.get("query_string", b"").decode("latin-1"))
    return {name: values[-1] for name, values in found.items()}


async def slots(exchange: Exchange) -> None:
    """``GET /slots``: the sequences of a model, and which request has each. Loads nothing."""
    query = _query(exchange)
    place = exchange.server.registry.place(query.get("model"))
    served = place.served
    if served is None:
        n_ctx = place.spec.engine.n_ctx
        found = [_idle(number, n_ctx) for number in range(place.spec.engine.n_sequences)]
    else:
        found = [_slot(served, number) for number in range(len(served.slots))]
    if "fail_on_no_slot" in query and not any(not each["is_processing"] for each in found):
        raise ApiError(
            503, "no_slot", f"all sequences of {place.spec.name!r} are at work; ask again later"
        )
    await exchange.respond(found)


def _slot(served: Served, number: int) -> dict[str, Any]:
    slot, exchange = _idle(number, context_of(served)), served.slots[number]
    if exchange is not None:
        record = exchange.record
        slot["is_processing"] = True
        slot["id_task"] = record.request_id
        slot["path"] = record.path
        slot["has_first_token"] = record.first_token_seconds is not None
    return slot


def _idle(number: int, n_ctx: int | None) -> dict[str, Any]:
    return {"id": number, "n_ctx": n_ctx, "speculative": False, "is_processing": False}


async def props(exchange: Exchange) -> None:
    """``GET /props``: the model's, and what requests leave out.

    The model is loaded for it once, unless ``autoload=false`` is in the query; later looks neither
    wake it nor keep it awake.
    """
    query = _query(exchange)
    registry = exchange.server.registry
    place = registry.place(query.get("model"))
    if place.served is None and place.props is None and query.get("autoload") in ("false", "0"):
        await exchange.respond(
            {"model_alias": place.spec.name, "model_path": place.spec.reference}
            | {"is_sleeping": True, "total_slots": place.spec.engine.n_sequences}
        )
        return
    if place.props is not None:
        await exchange.respond({**place.props, "is_sleeping": place.served is None})
        return
    async with registry.use(place.spec.name, exchange) as served:
        special = await _special(served)
        defaults = settings(
            Generating(),
            served.recommended,
            served.recommended.seed,
            served.model.info.special_tokens,
        )
        body = {
            "default_generation_settings": {"n_ctx": context_of(served), "params": defaults},
            "total_slots": served.admission.seats,
            "model_alias": served.name,
            "model_path": served.spec.reference,
            "modalities": {"vision": False, "audio": False},
            "chat_template": served.template,
            "bos_token": special.get("bos", ""),
            "eos_token": special.get("eos", ""),
            "build_info": f"headrace-{__version__} {served.model.info.build}",
        }
    place.props = body
    await exchange.respond({**body, "is_sleeping": False})


async def tokenizer_info(exchange: Exchange) -> None:
    """``GET /tokenizer_info``: what a program needs of a tokenizer that it does not have."""
    async with exchange.server.registry.use(_query(exchange).get("model"), exchange) as served:
        special = await _special(served)
        info = served.model.info
        body = {
            "tokenizer_class": info.metadata.get("tokenizer.ggml.model", info.architecture),
            "vocab_size": info.n_vocab,
            "model_max_length": context_of(served),
            "chat_template": served.template or None,
            "special_tokens": special,
            "special_token_ids": dict(info.special_tokens),
            **{f"{name}_token": special.get(name) for name in ("bos", "eos", "pad", "unk")},
            **{
                f"{name}_token_id": info.special_tokens.get(name)
                for name in ("bos", "eos", "pad", "unk")
            },
        }
    await exchange.respond(body)


async def _special(served: Served) -> dict[str, str]:
    """The texts of special tokens by their usual names."""
    return {
        name: (await served.model.adetokenize([token], special=True)).decode(errors="replace")
        for name, token in served.model.info.special_tokens.items()
    }


async def lora_adapters(exchange: Exchange) -> None:
    """``GET /lora-adapters``: those of a model, and how strongly each acts."""
    async with exchange.server.registry.use(_query(exchange).get("model"), exchange) as served:
        await exchange.respond(served.adapters.told())


@described(list[LoraScale])
async def set_lora_adapters(exchange: Exchange) -> None:
    """``POST /lora-adapters``: how strongly each acts from now on; those left out: not at all."""
    scales = await exchange.body(list[LoraScale])
    async with exchange.server.registry.use(_query(exchange).get("model"), exchange) as served:
        served.adapters.use({each.id: each.scale for each in scales})
        await served.conversations.use(served.adapters.current)
    await exchange.respond({"success": True})
