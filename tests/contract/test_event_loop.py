"""No call that waits is made in the thread of the event loop, in any phase of a session's life.

Which thread a call is made in is the same on every machine, unlike how long it takes. The longest
stall of the loop is printed beside it (``pytest -rP``), and judged by nobody here.
"""

from __future__ import annotations

import threading
import time

import anyio
import pytest

from headrace import Capability

pytestmark = pytest.mark.anyio
WRITE = {"max_tokens": 4, "ignore_eog": True}
LONG = "a long text " * 20


class Watch:
    """Notes calls that are made in one thread, and how long the event loop had no turn."""

    def __init__(self):
        self.loops_thread = threading.get_ident()
        self.made_by_the_loop, self.made = [], set()
        self.stalls = {}

    def over(self, monkeypatch, kind, *names):
        """Look at these methods of a class from now on."""
        for name in names:
            if hasattr(kind, name):
                monkeypatch.setattr(kind, name, self._noting(name, getattr(kind, name)))

    def _noting(self, name, method):
        def noting(*arguments, **options):
            self.made.add(name)
            if threading.get_ident() == self.loops_thread:
                self.made_by_the_loop.append(name)
            return method(*arguments, **options)

        return noting

    async def during(self, phase, call):
        """Make a call, while another task looks at the clock."""
        over, longest = False, 0.0

        async def tick():
            nonlocal longest
            last = time.monotonic()
            while not over:
                await anyio.sleep(0.001)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()

        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            found = await call()
            over = True
        self.stalls[phase] = round(longest * 1000, 1)
        return found


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    """Both event loops."""
    return request.param


def _look_at(watch, target, monkeypatch):
    """The calls that wait: for another process, or for the library."""
    if target.isolated:
        from headrace_subprocess.wire import Channel

        watch.over(monkeypatch, Channel, "receive")
        return
    with target.load() as model:
        library, session = type(model._model), model.open_session()
        decoder = type(session.engine.decoder)
    watch.over(monkeypatch, library, "open_decoder", "open_embedder", "render_chat")
    watch.over(monkeypatch, library, "load_adapter", "load_control_vector", "close")
    watch.over(monkeypatch, decoder, "step", "score", "export_state", "import_state", "close")


async def test_the_loops_thread_makes_no_call_that_waits(target, greedy, monkeypatch, tmp_path):
    """Opening, prompts, texts, conversations, states, forks, adapters, closing."""
    monkeypatch.setattr("headrace.backend.prompts._SHORT", 8)
    watch = Watch()
    _look_at(watch, target, monkeypatch)
    during, write = watch.during, {"sampling": greedy, **WRITE}
    model = target.load()
    watch.made_by_the_loop.clear()  # of what is loaded here
    session = await during("open", model.aopen_session)
    await during("tokenize", lambda: model.atokenize(LONG))
    await during("generate", lambda: session.acomplete(LONG, **write))
    stream = await during("begin", lambda: session.agenerate("and", stop=["\n"], **write))
    await during("read", stream.__anext__)
    await during("leave", stream.aclose)
    await during("score", lambda: session.ascore(LONG))
    await during("state", session.astate)
    await during("save", lambda: session.asave_state(tmp_path / "state"))
    await during("load_state", lambda: session.aload_state(tmp_path / "state"))
    await during("tokens", session.atokens)
    await during("rewind", lambda: session.arewind(to=3))
    fork = await during("fork", session.afork)
    await during("usage", session.amemory_usage)
    await during("usage of the model", model.amemory_usage)
    adapter = await during("load_adapter", lambda: model.aload_adapter(target.adapter(1)))
    await during("set_adapters", lambda: fork.aset_adapters([adapter]))
    await during("after it", lambda: fork.acomplete(None, **write))
    if Capability.CHAT in model.capabilities:
        conversation = [{"role": "user", "content": "Hello"}]
        options = {"sampling": greedy, "max_tokens": 4, **_template(target)}
        await during("chat", lambda: session.acomplete_chat(conversation, **options))
    if Capability.EMBED in model.capabilities:
        await during("embed", lambda: model.aembed(["a text", "and another"], pooling="mean"))
    await during("reset", session.areset)
    await during("close the session", session.aclose)
    await during("close the model", model.aclose)
    print("longest stalls, ms:", watch.stalls)
    assert watch.made_by_the_loop == []
    assert watch.made >= ({"receive"} if target.isolated else {"open_decoder", "step", "close"})


def _template(target):
    """The tiny models have none of their own."""
    if "llamacpp" not in target.name:
        return {}
    return {"template": "{% for m in messages %}{{ m.content }}{% endfor %}"}
