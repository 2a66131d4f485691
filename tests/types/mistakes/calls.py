"""Mistakes of callers: each line that ends with ``# refused`` is one."""

# ruff: noqa: B018

from __future__ import annotations

import headrace
from headrace import Model, SamplingParams, Session


def generating(session: Session) -> None:
    """Of sessions and streams."""
    session.generate("a", max_token=4)  # refused
    session.generate("a", max_tokens="4")  # refused
    session.generate(4)  # refused
    session.complete("a", sampling={"seed": 1})  # refused
    session.complete("a", timeout="soon")  # refused
    session.complete("a").txt  # refused
    session.complete("a", ignore_eog=True, stop=[1])  # refused
    session.chat("hello")  # refused
    session.chat([], tools=4)  # refused
    session.chat([{"role": "user", "content": "x"}], ignore_eog=True)  # refused
    session.infill("a")  # refused
    session.infill("a", "b", order=4)  # refused
    session.score("a", top="three")  # refused
    session.score("a", progres=print)  # refused
    session.rewind(4)  # refused
    session.load_state(4)  # refused
    for chunk in session.generate("a"):
        chunk.token  # refused
    session.tokens.txt  # refused


def modelling(model: Model) -> None:
    """Of models."""
    model.tokenize(b"a")  # refused
    model.tokenize("a", special=True)  # refused
    model.embed("a", pool="mean")  # refused
    model.embed(4)  # refused
    model.rerank("a", 4)  # refused
    model.open_session(SamplingParams())  # refused
    model.info.vocab  # refused
    model.load_adapter(4)  # refused


def loading() -> None:
    """Of loading."""
    headrace.load_model(4)  # refused
    headrace.lod_model  # refused
    headrace.load_model("a", params=headrace.EngineParams())  # refused
    headrace.load_model("a", n_ctx=4)  # refused
    SamplingParams(temprature=0.5)  # refused
    headrace.EngineParams(n_ctx="many")  # refused


async def tasks(session: Session) -> None:
    """Of tasks."""
    text: str = session.acomplete("a")  # refused
    print(text)
    (await session.acomplete("a", max_token=4)).text  # refused
    async for chunk in session.agenerate("a"):  # refused
        print(chunk)
