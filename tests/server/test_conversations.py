"""What was computed for a turn is found again for the next one."""

from __future__ import annotations

import contextlib
import logging

import anyio
import pytest

import headrace
from headrace import EngineParams
from headrace_server import ModelSpec
from headrace_server.generation.conversations import Conversations
from headrace_server.generation.shelf import INDEX, Shelf
from tests.server.asking import CHAT, answer, chat, until

SAID = "said "
"""What the model always answers: it has no end of turn in it."""


class Client:
    """Somebody who talks with the model.

    Args:
        client: Of the server.
        name: What makes its conversation differ from its first word on.
    """

    def __init__(self, client, name) -> None:
        self.client = client
        self.messages = []
        self.name = name

    def turn(self):
        """One more question; returns how many tokens there were before it, and of them in memory.

        What the last turn has computed, prompt and answer, is all that there was before.
        """
        self.messages.append({"role": "user", "content": f"{self.name} asks {len(self.messages)}"})
        found = answer(self.client, messages=self.messages)
        self.messages.append(found["choices"][0]["message"])
        usage = found["usage"]
        return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


def spec(n_sequences=4, **options):
    """A model that answers in few words."""
    text = "&".join(f"{name}={value}" for name, value in {"n_ctx": 32768, **options}.items())
    return ModelSpec(
        name="m",
        reference=f"fake:{SAID}#{text}",
        engine=EngineParams(n_sequences=n_sequences, n_ctx=32768),
    )


def found_again(client):
    """Whether a client's next turn finds its last one."""
    before, _ = client.last
    prompt, cached = client.last = client.turn()
    return cached >= before and prompt > cached


def test_each_turn_finds_the_one_before(serve):
    """All that it has computed."""
    with serve([spec()]).client() as client:
        one = Client(client, "one")
        one.last = one.turn()
        assert all(found_again(one) for _ in range(4))


def test_twenty_clients_find_their_own_turns(serve):
    """However their requests come one after the other."""
    with serve([spec(n_sequences=20)]).client() as client:
        clients = [Client(client, f"client {n}") for n in range(20)]
        for each in clients:
            each.last = each.turn()
        for _ in range(3):
            assert all(found_again(each) for each in clients)
            clients.reverse()


@pytest.mark.parametrize("n_sequences", [1, 3])
def test_more_clients_than_sequences_find_their_turns_on_disk(serve, tmp_path, n_sequences):
    """What leaves memory is saved before, and loaded for the next turn."""
    with serve([spec(n_sequences)], state_dir=tmp_path).client() as client:
        clients = [Client(client, f"client {n}") for n in range(6)]
        for each in clients:
            each.last = each.turn()
        for _ in range(2):
            assert all(found_again(each) for each in clients)


def test_a_cancelled_request_keeps_its_prefix(serve):
    """The next turn finds the prompt of the one that was given up."""
    server = serve("fake:" + "long " * 300 + "#delay=0.05")
    words = "word " * 300
    messages = [{"role": "user", "content": words}]
    with server.client() as client:
        body = {"messages": messages, "stream": True}
        with client.stream("POST", CHAT, json=body) as response:
            lines = response.iter_lines()
            next(line for line in lines if '"content":"' in line)
            lines.close()
        admission = server.state.registry.place(None).served.admission
        until(lambda: not admission.taken)
        usage = answer(client, messages=messages, max_tokens=1)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > 300


def test_a_refused_request_leaves_the_conversation_in_memory(serve):
    """A mistake in a later turn costs nothing of what was computed."""
    with serve([spec()]).client() as client:
        one = Client(client, "one")
        one.last = one.turn()
        refused = chat(client, messages=[*one.messages, {"role": "user", "content": "x " * 40000}])
        assert refused.status_code == 400
        assert found_again(one)


def computed(client):
    """Tokens of prompts that were computed."""
    lines = client.get("/metrics").text.split("\n")
    line = next(line for line in lines if line.startswith("llamacpp:prompt_tokens_total{"))
    return float(line.split()[-1])


def test_answers_of_one_prompt_share_it(serve):
    """Several go their own ways from a prompt that is computed once."""
    server = serve([spec()], metrics=True)
    messages = [{"role": "user", "content": "word " * 200}]
    with server.client() as client:
        found = answer(client, messages=messages, n=4)
        assert len(found["choices"]) == 4
        until(lambda: computed(client) > 0)  # it is counted after the answer
        prefilled = computed(client)
        usage = answer(client, messages=messages)["usage"]
    assert prefilled < 1.5 * found["usage"]["prompt_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= 200


def test_conversations_are_found_after_a_restart(serve_once, tmp_path):
    """Of several clients; the files are for their owner alone."""
    with serve_once([spec()], state_dir=tmp_path) as server, server.client() as client:
        clients = [Client(client, f"client {n}") for n in range(3)]
        for each in clients:
            each.last = each.turn()
    (folder,) = tmp_path.iterdir()
    files = list(folder.iterdir())
    assert len(files) == 4
    assert all(each.stat().st_mode & 0o077 == 0 for each in files)
    assert b"client" not in (folder / INDEX).read_bytes()
    with serve_once([spec()], state_dir=tmp_path) as server, server.client() as client:
        for each in clients:
            each.client = client
        assert all(found_again(each) for each in clients)
        assert all(found_again(each) for each in clients)


def test_conversations_are_found_after_an_unload(serve, tmp_path):
    """A model that comes back knows what it was asked."""
    with serve([spec()], state_dir=tmp_path).client() as client:
        one = Client(client, "one")
        one.last = one.turn()
        assert client.post("/models/unload", json={"model": "m"}).status_code == 200
        assert found_again(one)


@pytest.mark.parametrize("harm", ["cut", "flipped", "gone", "index"])
def test_damaged_files_are_dropped(serve_once, tmp_path, caplog, harm):
    """With a line in the log; the conversation is computed again."""
    caplog.set_level(logging.WARNING, "headrace_server")
    with serve_once([spec()], state_dir=tmp_path) as server, server.client() as client:
        one = Client(client, "one")
        one.last = one.turn()
    (folder,) = tmp_path.iterdir()
    (state,) = folder.glob("*.state")
    data = state.read_bytes()
    if harm == "cut":
        state.write_bytes(data[: len(data) // 2])
    elif harm == "flipped":
        state.write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    elif harm == "gone":
        state.unlink()
    else:
        (folder / INDEX).write_bytes(b"[{]")
    with serve_once([spec()], state_dir=tmp_path) as server, server.client() as client:
        one.client = client
        assert not found_again(one)
        assert found_again(one)
    assert "dropped" in caplog.text
    assert "one asks" not in caplog.text


def test_another_model_does_not_take_them(serve_once, tmp_path):
    """The same name over another reference has a folder of its own."""
    with serve_once([spec()], state_dir=tmp_path) as server, server.client() as client:
        one = Client(client, "one")
        one.last = one.turn()
    with serve_once([spec(seed=7)], state_dir=tmp_path) as server, server.client() as client:
        one.client = client
        assert not found_again(one)
    assert len(list(tmp_path.iterdir())) == 2


@contextlib.asynccontextmanager
async def talking(most, folder=None, most_bytes=2**30):
    """A model's conversations, without a server."""
    async with await headrace.aload_model(
        "fake:a b c", engine=EngineParams(n_sequences=4)
    ) as model:
        shelf = None
        if folder is not None:
            shelf = Shelf(folder, most_bytes)
            await shelf.open()
        conversations = Conversations(model, most, shelf)
        yield conversations, shelf
        await conversations.aclose()


async def say(conversations, key):
    """Compute something under a key; returns the session."""
    async with conversations.session(key) as session:
        await session.areset()
        await session.acomplete(key, max_tokens=0)
    return session


@pytest.mark.anyio
async def test_the_longest_beginning_is_gone_on_with():
    """Not a shorter one, and none that is not a beginning."""
    async with talking(4) as (conversations, _):
        short, long = await say(conversations, "ab"), await say(conversations, "ax")
        longer = await say(conversations, "axyz")
        assert longer is long
        async with conversations.session("axyzzy") as found:
            assert found is long
            async with conversations.session("axyzzy") as other:
                assert other not in (long, short)
        async with conversations.session("abc") as found:
            assert found is short
        async with conversations.session((1, 2)) as tokens:
            pass
        async with conversations.session((1, 2, 3)) as found:
            assert found is tokens


@pytest.mark.anyio
async def test_those_not_used_for_longest_leave_first():
    """And no more are kept than there may be."""
    async with talking(2) as (conversations, _):
        first = await say(conversations, "first")
        await say(conversations, "second")
        assert await say(conversations, "first!") is first
        await say(conversations, "third")
        assert len(conversations) == 2
        async with conversations.session("first!!") as found:
            assert found is first


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (headrace.ContextFullError("full"), True),
        (headrace.DecodeError("failed"), False),
        (headrace.BackendCrashedError("gone"), False),
        (ValueError("what"), False),
    ],
)
async def test_what_an_error_leaves(error, stays):
    """A refused request leaves the history; a failed one leaves nothing to rely on."""
    async with talking(2) as (conversations, _):
        before = await say(conversations, "key")
        with pytest.raises(type(error)):
            async with conversations.session("key and more"):
                raise error
        async with conversations.session("key and other") as found:
            assert (found is before) == stays


@pytest.mark.anyio
async def test_the_disk_has_a_bound(tmp_path):
    """Those not used for longest are removed from it."""
    async with talking(1, tmp_path) as (conversations, shelf):
        await say(conversations, "a" * 100)
        await say(conversations, "b" * 100)
        size = shelf.size
        assert len(shelf) == 1
    for file in tmp_path.iterdir():
        file.unlink()
    async with talking(1, tmp_path, int(2.5 * size)) as (conversations, shelf):
        for letter in "abcdef":
            await say(conversations, letter * 100)
        assert len(shelf) == 2
        assert len(list(tmp_path.glob("*.state"))) == 2
        assert shelf.longest("d" * 101) is not None
        assert shelf.longest("e" * 101) is not None
        assert shelf.longest("a" * 101) is None


@pytest.mark.anyio
async def test_a_later_turn_takes_the_place_of_the_earlier_one(tmp_path):
    """A conversation is on the disk once."""
    async with talking(1, tmp_path) as (conversations, shelf):
        for key in ("x" * 50, "x" * 60, "x" * 70):
            await say(conversations, key)
            await say(conversations, "y")
            await anyio.sleep(0)
        entry = shelf.longest("x" * 100)
        assert entry.length == 70
        assert len([each for each in tmp_path.glob("*.state") if "-70-" in each.name]) == 1
        assert not [each for each in tmp_path.glob("*.state") if "-50-" in each.name]
