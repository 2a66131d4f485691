"""Turns are found again in llama.cpp's memory, on disk, after a cancel, and after a restart."""

from __future__ import annotations

import pytest

from headrace import EngineParams, ModelParams
from headrace.testing import tiny_gguf
from headrace_server import ModelSpec
from tests.server.asking import CHAT, answer, until
from tests.server.test_conversations import Client


def spec(n_sequences, isolation=None):
    """A tiny model with a chat template."""
    return ModelSpec(
        name="m",
        reference=str(tiny_gguf.path("attention+chat")),
        params=ModelParams(isolation=isolation),
        engine=EngineParams(n_ctx=8192, n_sequences=n_sequences, n_threads=1),
    )


class Talker(Client):
    """Somebody whose answers are short, and always the same."""

    def turn(self):
        """One more question; tokens of its prompt, and those of them in memory."""
        self.messages.append({"role": "user", "content": f"{self.name} {len(self.messages)}"})
        found = answer(self.client, messages=self.messages, max_tokens=4, temperature=0)
        self.messages.append({"role": "assistant", "content": "So it is."})
        usage = found["usage"]
        return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


def finds_its_prompt(talker):
    """Whether the next turn finds at least the whole prompt of the last one."""
    before, _ = talker.last
    prompt, cached = talker.last = talker.turn()
    return before - 1 <= cached < prompt


def test_twenty_clients_find_their_own_turns(serve):
    """However their requests come one after the other."""
    with serve([spec(20)]).client() as client:
        talkers = [Talker(client, f"talker {n}") for n in range(20)]
        for each in talkers:
            each.last = each.turn()
        for _ in range(2):
            assert all(finds_its_prompt(each) for each in talkers)
            talkers.reverse()


@pytest.mark.parametrize("isolation", [None, "process"])
def test_turns_are_found_on_disk_and_after_a_restart(serve_once, tmp_path, isolation):
    """More clients than sequences; a second server goes on with all of them."""
    talkers = []
    with (
        serve_once([spec(2, isolation)], state_dir=tmp_path) as server,
        server.client() as client,
    ):
        talkers = [Talker(client, f"talker {n}") for n in range(4)]
        for each in talkers:
            each.last = each.turn()
        assert all(finds_its_prompt(each) for each in talkers)
    with (
        serve_once([spec(2, isolation)], state_dir=tmp_path) as server,
        server.client() as client,
    ):
        for each in talkers:
            each.client = client
        assert all(finds_its_prompt(each) for each in talkers)


def test_a_cancelled_request_keeps_its_prefix(serve):
    """The same prompt again is in memory."""
    server = serve([spec(2)])
    messages = [{"role": "user", "content": "word " * 200}]
    with server.client() as client:
        body = {"messages": messages, "stream": True, "ignore_eos": True, "max_tokens": 4000}
        with client.stream("POST", CHAT, json=body) as response:
            lines = response.iter_lines()
            next(line for line in lines if '"content":"' in line)
            lines.close()
        admission = server.state.registry.place("m").served.admission
        until(lambda: not admission.taken)
        usage = answer(client, messages=messages, max_tokens=1)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= usage["prompt_tokens"] - 1
