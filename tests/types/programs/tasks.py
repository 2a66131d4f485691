"""What a program does with asyncio or trio."""

from __future__ import annotations

import headrace
from headrace import ChatCompletion, Completion, Model, Session


async def many(model: Model) -> list[str]:
    """Streams, read to the end and piece by piece."""
    texts: list[str] = []
    async with await model.aopen_session() as session:
        done: Completion = await session.acomplete("One", max_tokens=4, ignore_eog=True)
        texts.append(done.text)
        async with await session.agenerate(None, stop=["a", "b"]) as stream:
            async for chunk in stream:
                texts.append(chunk.text)
        answer: ChatCompletion = await session.acomplete_chat([{"role": "user", "content": "?"}])
        texts.append(answer.text)
        other: Session = await session.afork()
        await other.aclose()
        ids: list[int] = await model.atokenize("text", add_special=False)
        texts.append(str(await model.adetokenize(ids)))
        await session.arewind(to=0)
    return texts


async def loaded(path: str) -> None:
    """A model that a task loads."""
    async with await headrace.aload_model(path) as model:
        vectors = await model.aembed("text", normalize=False)
        print(len(vectors), await many(model))
